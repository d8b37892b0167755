"""A connection to a running serve: snapshot, models, chat as a stream, and the live feed."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from typing import Any, Self

import httpx
from httpx_sse import EventSource, ServerSentEvent, SSEError

from llmops.client.answers import (
    ChatChunk,
    ServedModel,
    object_of,
    read_chunk,
    read_models,
    read_snapshot,
    refusal_of,
)
from llmops.client.errors import ServeUnreachable
from llmops.client.snapshot import MOST_BYTES, PLAIN, needs_certificates, reason_of, with_body
from llmops.events.snapshot import ServeSnapshot

__all__ = ["ChatChunk", "ServeClient", "ServedModel"]

_LOOK_TIMEOUT_S = 2.0  # for answers that serve gives at once
_LIVE_SILENCE_S = 45.0  # three missed comment lines, of which serve sends one every 15 s


class ServeClient:
    """Use it as `async with ServeClient(url) as serve`; any number of calls at once."""

    def __init__(self, url: str, api_key: str | None = None, synthetic: bool = False, user: str | None = None) -> None:
        self.url = url.rstrip("/")
        self._user = user
        headers = PLAIN | ({"Authorization": f"Bearer {api_key}"} if api_key else {})
        if synthetic:
            headers["X-LLMOPS-Synthetic"] = "1"
        self._http = httpx.AsyncClient(
            trust_env=False,  # past HTTP_PROXY: serve stands on this machine or network
            verify=needs_certificates(url),
            headers=headers,
            timeout=_LOOK_TIMEOUT_S,
            limits=httpx.Limits(max_connections=None, max_keepalive_connections=32),
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._http.aclose()

    async def snapshot(self) -> ServeSnapshot:
        """What serve says of itself now."""
        return read_snapshot(self.url, await self._get("/ops/snapshot"))

    async def models(self) -> tuple[ServedModel, ...]:
        """Which models it serves."""
        return read_models(self.url, await self._get("/v1/models"))

    async def chat(
        self,
        messages: Sequence[Mapping[str, str]],
        *,
        model: str | None = None,
        max_tokens: int | None = None,
        temperature: float | None = None,
        top_p: float | None = None,
        top_k: int | None = None,
        seed: int | None = None,
        stop: Sequence[str] | None = None,
        timeout_s: float = 60.0,
    ) -> AsyncGenerator[ChatChunk, None]:
        """Stream one answer; `timeout_s` bounds each silence of serve, not the whole answer.

        Closing the iterator (`contextlib.aclosing`) closes the connection, which stops the generation.
        Raises ServeUnreachable, or RequestRefused also in the middle of an answer.
        """
        choices = {
            "model": model,
            "max_tokens": max_tokens,
            "temperature": temperature,
            "top_p": top_p,
            "top_k": top_k,
            "seed": seed,
            "stop": list(stop) if stop else None,
            "user": self._user,
        }
        body: dict[str, Any] = {
            "messages": [dict(message) for message in messages],
            "stream": True,
            "stream_options": {"include_usage": True},
            **{name: value for name, value in choices.items() if value is not None},
        }
        async with self._events("POST", "/v1/chat/completions", timeout_s, body) as (events, request_id):
            async for event in events:
                if event.data == "[DONE]":
                    return
                yield read_chunk(event.data, request_id, time.monotonic())
        raise ServeUnreachable(self.url, "the answer broke off")

    async def live(self) -> AsyncGenerator[dict[str, Any], None]:
        """Documents as serve writes them; ends when serve ends the feed, raises ServeUnreachable when it is lost."""
        async with self._events("GET", "/ops/live", _LIVE_SILENCE_S) as (events, _):
            async for event in events:
                if document := object_of(event.data):
                    yield document

    async def _get(self, path: str) -> httpx.Response:
        try:
            async with asyncio.timeout(2 * _LOOK_TIMEOUT_S), self._http.stream("GET", self.url + path) as response:
                return await self._whole(response)
        except TimeoutError:
            raise ServeUnreachable(self.url, "no answer in time") from None
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise ServeUnreachable(self.url, reason_of(error)) from error

    async def _whole(self, response: httpx.Response) -> httpx.Response:
        """The response with its body. Raises ServeUnreachable where that has no end."""
        body = bytearray()
        async for part in response.aiter_raw():
            body += part
            if len(body) > MOST_BYTES:
                raise ServeUnreachable(self.url, "its answer has no end")
        return with_body(response, bytes(body))

    @contextlib.asynccontextmanager
    async def _events(
        self, method: str, path: str, silence_s: float, body: dict[str, Any] | None = None
    ) -> AsyncIterator[tuple[AsyncIterator[ServerSentEvent], str | None]]:
        """The events of a stream, and the request's id; the connection ends with the context."""
        timeout = httpx.Timeout(silence_s, connect=min(_LOOK_TIMEOUT_S, silence_s))
        try:
            async with self._http.stream(method, self.url + path, json=body, timeout=timeout) as response:
                if response.status_code != httpx.codes.OK:
                    raise refusal_of(await self._whole(response))
                async with contextlib.aclosing(EventSource(response).aiter_sse()) as events:
                    yield events, response.headers.get("x-request-id")
        except SSEError:
            raise ServeUnreachable(self.url, "another server answers there") from None
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise ServeUnreachable(self.url, reason_of(error)) from error
