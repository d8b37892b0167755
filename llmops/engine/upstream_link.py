"""The HTTP connection to an upstream: bounded reads, streams of events, and second tries of what did not begin."""

from __future__ import annotations

import asyncio
import contextlib
import math
import os
import random
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from typing import Any

import httpx
from httpx_sse import EventSource, SSEError

from llmops.engine.dials import UpstreamDials
from llmops.engine.errors import UpstreamFailed
from llmops.engine.upstream_reading import Refused, read_refusal
from llmops.engine.upstream_refusals import BUSY

_LARGEST_BODY = 1 << 20
_LARGEST_EVENT = 1 << 20
"""Bytes of one event of a stream: a token's needs some hundreds."""
_ERROR_BODY = 1 << 16
_FIRST_WAIT_S, _LONGEST_WAIT_S = 0.25, 4.0
# Below the 5 s after which uvicorn, and with it vLLM, closes an idle connection under us.
_KEEPALIVE_S = 4.0


class NotReached(UpstreamFailed):
    """Nothing of an answer was seen, so that nothing was begun: it may be tried again."""


class Link:
    """Any number of requests at once. Raises Refused or UpstreamFailed; close it with `close`."""

    def __init__(self, dials: UpstreamDials, *, rng: random.Random) -> None:
        self.url = (dials.url or "").rstrip("/")
        self._retries = dials.retries
        self._rng = rng
        headers = {"Accept-Encoding": "identity", "User-Agent": "llmops"}
        if dials.api_key:
            headers["Authorization"] = f"Bearer {dials.api_key}"
        self._http = httpx.AsyncClient(
            trust_env=False,  # past HTTP_PROXY: the upstream stands on this machine or network
            verify=not self.url.startswith("http://"),  # certificates take 20 ms to read
            follow_redirects=False,  # a prompt goes where the operator sent it
            headers=headers,
            timeout=httpx.Timeout(dials.read_timeout_s, connect=dials.connect_timeout_s, pool=None),
            limits=httpx.Limits(max_connections=None, max_keepalive_connections=32, keepalive_expiry=_KEEPALIVE_S),
        )

    async def get(self, path: str, within_s: float) -> bytes:
        """A whole body, tried once. Raises UpstreamFailed also when it takes longer or is larger than it should."""
        try:
            async with asyncio.timeout(within_s):
                response = await self._send(self._http.build_request("GET", self.url + path))
                async with contextlib.aclosing(response):
                    return await _whole(response, _LARGEST_BODY)
        except TimeoutError:
            raise NotReached(f"The upstream gave no answer within {within_s:g} s.") from None

    @contextlib.asynccontextmanager
    async def events(
        self, path: str, body: dict[str, Any], headers: Mapping[str, str] | None = None
    ) -> AsyncIterator[AsyncIterator[str]]:
        """The data of each event of an answer as they come; leaving the context closes the connection at once."""
        response = await self._begun(path, body, {"Accept": "text/event-stream", **(headers or {})})
        async with contextlib.aclosing(response):
            response.stream = _Bounded(response.stream)
            async with contextlib.aclosing(_data(response)) as events:
                yield events

    async def close(self) -> None:
        """Idempotent."""
        await self._http.aclose()

    async def _begun(self, path: str, body: dict[str, Any], headers: Mapping[str, str]) -> httpx.Response:
        """The head of the answer; tries again while the upstream did not begin and patience lasts."""
        for left in range(self._retries, -1, -1):
            request = self._http.build_request("POST", self.url + path, json=body, headers=headers)
            try:
                return await self._send(request)
            except NotReached:
                wait_s = self._wait_s(self._retries - left)
                if not left:
                    raise
            except Refused as refused:
                wait_s = self._wait_s(self._retries - left) if refused.retry_after_s is None else refused.retry_after_s
                if not left or refused.status not in BUSY or wait_s > _LONGEST_WAIT_S:
                    raise
            await asyncio.sleep(wait_s)
        raise AssertionError("the last try returns or raises")

    def _wait_s(self, tries: int) -> float:
        """Twice as long each time, and by chance up to half shorter, so that a herd spreads out."""
        return min(_LONGEST_WAIT_S, _FIRST_WAIT_S * 2.0**tries) * self._rng.uniform(0.5, 1.0)

    async def _send(self, request: httpx.Request) -> httpx.Response:
        """A response with status 200 whose body is still to come."""
        try:
            response = await self._http.send(request, stream=True)
        except (httpx.ReadTimeout, httpx.WriteTimeout):
            raise UpstreamFailed("The upstream was silent for too long.") from None
        except (httpx.HTTPError, httpx.InvalidURL, UnicodeError) as error:
            raise NotReached(f"The upstream can't be reached ({_reason(error)}).") from None
        try:
            await _refuse_what_is_no_answer(response)
        except BaseException:
            await response.aclose()
            raise
        return response


class _Bounded(httpx.AsyncByteStream):
    """A body whose events end: raises UpstreamFailed when one grows beyond all reason."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    async def __aiter__(self) -> AsyncIterator[bytes]:
        size, tail = 0, b""
        async for part in self._stream:
            seen = tail + part
            ends = max(seen.rfind(b"\n\n"), seen.rfind(b"\r\n\r\n"), seen.rfind(b"\r\r"))
            size = len(seen) - ends if ends >= 0 else size + len(part)
            if size > _LARGEST_EVENT:
                raise UpstreamFailed(f"The upstream sent an event of more than {_LARGEST_EVENT >> 20} MiB.")
            tail = seen[-3:]
            yield part

    async def aclose(self) -> None:
        await self._stream.aclose()


async def _data(response: httpx.Response) -> AsyncGenerator[str, None]:
    """Raises UpstreamFailed when the stream is none, breaks or falls silent."""
    try:
        async with contextlib.aclosing(EventSource(response).aiter_sse()) as events:
            async for event in events:
                if event.data:
                    yield event.data
    except SSEError:
        kind = response.headers.get("content-type", "nothing").partition(";")[0][:40]
        raise UpstreamFailed(f"The upstream answers with {kind!r} instead of a stream of events.") from None
    except httpx.TimeoutException:
        raise UpstreamFailed("The upstream was silent for too long in the middle of the answer.") from None
    except httpx.HTTPError as error:
        raise UpstreamFailed(f"The upstream broke off in the middle of the answer ({_reason(error)}).") from None


async def _refuse_what_is_no_answer(response: httpx.Response) -> None:
    if response.headers.get("content-encoding", "identity") != "identity":
        raise UpstreamFailed("The upstream packs its answers although it was asked not to.")
    if response.status_code != httpx.codes.OK:
        retry_after_s = _seconds(response.headers.get("retry-after"))
        try:
            body = await _whole(response, _ERROR_BODY)
        except UpstreamFailed:
            body = b""  # the status says enough
        raise read_refusal(body, response.status_code, retry_after_s)


async def _whole(response: httpx.Response, limit: int) -> bytes:
    body = bytearray()
    try:
        async for part in response.aiter_bytes():
            body += part
            if len(body) > limit:
                raise UpstreamFailed(f"The upstream answers with more than {limit >> 10} KiB.")
    except httpx.HTTPError as error:
        raise UpstreamFailed(f"The upstream broke off ({_reason(error)}).") from None
    return bytes(body)


def _reason(error: Exception) -> str:
    """A few words; httpx wraps what the system said."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, OSError) and cause.errno:
            return (os.strerror(cause.errno) if cause.errno > 0 else str(cause.strerror)).lower()
        cause = cause.__cause__ or cause.__context__
    if isinstance(error, httpx.TimeoutException):
        return "no connection in time"
    return "connection closed" if isinstance(error, httpx.RemoteProtocolError) else type(error).__name__


def _seconds(text: str | None) -> float | None:
    """A date, which Retry-After may be too, is not understood and counts as none."""
    try:
        seconds = float(text or "")
    except ValueError:
        return None
    return seconds if math.isfinite(seconds) and seconds >= 0 else None
