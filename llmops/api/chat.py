"""`POST /v1/chat/completions`: from the arrival of a request to its one event."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, Callable

from starlette.requests import ClientDisconnect
from starlette.types import Receive, Scope, Send

from llmops.api.answer import send_json, send_stream, send_whole
from llmops.api.correlation import request_id_of, trace_of
from llmops.api.door import Door, deadline_of, priority_of
from llmops.api.errors import BodyTooLarge, BodyTooSlow, describe
from llmops.api.leaving import until_client_leaves
from llmops.api.schema import ChatRequest, parse_chat
from llmops.engine.contract import Piece
from llmops.inference.exchange import Arrival, Exchange
from llmops.inference.route import Inference

_log = logging.getLogger(__name__)


BODY_WITHIN_S = 30.0
"""The largest body takes seconds on a slow line; a client that needs longer holds a connection for nothing."""
_GRACE_S = 10.0


class ChatRoute:
    """An ASGI application for this one path. Every request that reaches it emits exactly one event."""

    def __init__(
        self,
        inference: Callable[[], Inference],
        *,
        door: Door,
        max_body_bytes: int,
        body_within_s: float = BODY_WITHIN_S,
    ) -> None:
        self._inference = inference
        self._door = door
        self._body_within_s = body_within_s
        self._max_body_bytes = max_body_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request; the client's departure cancels all of it."""
        inference = self._inference()
        headers = dict(scope["headers"])
        exchange = inference.arrive(_arrival(scope, headers))
        try:
            name = self._enter(scope, headers, exchange)
            chat = parse_chat(await self._body(receive))
            if chat.user and name is None:  # a key's limits hold whatever name its holder gives
                inference.identify(exchange, chat.user)
            # Admitted or refused in one breath: a refusal never waits behind the others' tasks.
            with inference.admit(exchange, chat.ask()) as admitted:
                generation = await inference.prepare(admitted)
                pieces = inference.generate(admitted, generation)
                # The route has its own deadline; this one is for a client that stops reading its answer.
                async with asyncio.timeout(inference.time_left_s(exchange) + _GRACE_S):
                    await until_client_leaves(receive, _send(send, pieces, exchange, chat))
        except ClientDisconnect:
            pass  # left while sending its body: the event says so
        except asyncio.CancelledError:
            # Only the server's own end cancels us: this is the last thing to be done, so it goes no further.
            exchange.failed("engine_stopped", "The server ended before the answer was out.", 503)
        except TimeoutError:
            exchange.failed("timeout", "The client did not take its answer in time.", 504)
        except Exception as error:
            await _refuse(send, exchange, error)
        finally:
            exchange.end()
            # In the loop's next round: the answers of everyone who came with us leave before ours is written down.
            asyncio.get_running_loop().call_soon(exchange.close)

    def _enter(self, scope: Scope, headers: dict[bytes, bytes], exchange: Exchange) -> str | None:
        """Before anything is read: whose request it is by its key, and how urgent."""
        name = self._door.name_of(scope, headers)
        inference = self._inference()
        if name is not None:
            inference.identify(exchange, name)
        priority = priority_of(headers, is_synthetic=exchange.arrival.synthetic)
        inference.rank(exchange, priority, deadline_of(headers))
        return name

    async def _body(self, receive: Receive) -> bytes:
        body = bytearray()
        more = True
        try:
            async with asyncio.timeout(self._body_within_s):
                while more:
                    message = await receive()
                    if message["type"] == "http.disconnect":
                        raise ClientDisconnect
                    body += message.get("body", b"")
                    more = message.get("more_body", False)
                    if len(body) > self._max_body_bytes:
                        raise BodyTooLarge(f"The body is larger than {self._max_body_bytes} bytes: send less.", None)
        except TimeoutError:
            raise BodyTooSlow(
                f"The body did not arrive within {self._body_within_s:g} s: send it again.", None
            ) from None
        return bytes(body)


async def _send(send: Send, pieces: AsyncGenerator[Piece, None], exchange: Exchange, chat: ChatRequest) -> None:
    id_header = exchange.arrival.request_id
    if chat.stream:
        await send_stream(send, pieces, exchange, chat, id_header)
    else:
        await send_whole(send, pieces, exchange, id_header)


def _arrival(scope: Scope, headers: dict[bytes, bytes]) -> Arrival:
    trace_id, span_id = trace_of(headers.get(b"traceparent"))
    client_ip = scope["client"][0] if scope["client"] else None
    return Arrival(
        at=time.time(),
        clock_s=time.monotonic(),
        request_id=request_id_of(headers.get(b"x-request-id")),
        path=scope["path"],
        user=f"ip:{client_ip}",
        client_ip=client_ip,
        trace_id=trace_id,
        span_id=span_id,
        synthetic=headers.get(b"x-llmops-synthetic") == b"1",
    )


async def _refuse(send: Send, exchange: Exchange, error: Exception) -> None:
    slug, status, body, headers = describe(error)
    exchange.failed(slug, str(error) or type(error).__name__, status, error)
    if slug == "internal":
        _log.error("request %s failed", exchange.arrival.request_id, exc_info=error)
    await send_json(send, status, body, {**headers, "x-request-id": exchange.arrival.request_id})
