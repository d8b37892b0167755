"""`POST /v1/chat/completions` and `/v1/completions`: from the arrival of a request to its one event."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable

from starlette.requests import ClientDisconnect
from starlette.types import Receive, Scope, Send

from llmops.api.answer import send_json, send_stream, send_whole
from llmops.api.arriving import Door, arrival_of
from llmops.api.complaints import parse
from llmops.api.errors import describe
from llmops.api.leaving import until_client_leaves
from llmops.api.schema import TextRequest
from llmops.api.shapes import Shape
from llmops.engine.contract import Piece
from llmops.inference.exchange import Exchange
from llmops.inference.route import Inference

_log = logging.getLogger(__name__)

GRACE_S = 10.0
"""The route has its own deadline; so much later one ends for a client that stops reading its answer."""


class TextRoute:
    """An ASGI application for one path, given by its shape. Every request that reaches it emits exactly one event."""

    def __init__(self, inference: Callable[[], Inference], shape: Shape, door: Door) -> None:
        self._inference = inference
        self._shape = shape
        self._door = door

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request; the client's departure cancels all of it."""
        inference = self._inference()
        exchange = inference.arrive(arrival_of(scope, self._shape.operation, self._shape.id_prefix))
        try:
            body = await self._door.body(scope, receive)
            await self._answer(inference, exchange, body, receive, send)
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

    async def _answer(
        self, inference: Inference, exchange: Exchange, body: bytes, receive: Receive, send: Send
    ) -> None:
        request = parse(self._shape.request, body)
        if request.user:
            inference.identify(exchange, request.user)
        # Admitted or refused in one breath: a refusal never waits behind the others' tasks.
        with inference.admit(exchange, request.ask()) as admitted:
            generation = await inference.prepare(admitted)
            pieces = inference.generate(admitted, generation)
            async with asyncio.timeout(inference.deadline_s + GRACE_S):
                await until_client_leaves(receive, _send(send, pieces, exchange, request, self._shape))


async def _send(
    send: Send, pieces: AsyncGenerator[Piece, None], exchange: Exchange, request: TextRequest, shape: Shape
) -> None:
    deliver = send_stream if request.stream else send_whole
    await deliver(send, pieces, exchange, request, shape)


async def _refuse(send: Send, exchange: Exchange, error: Exception) -> None:
    slug, status, body, headers = describe(error)
    exchange.failed(slug, str(error) or type(error).__name__, status, error)
    if slug == "internal":
        _log.error("request %s failed", exchange.arrival.request_id, exc_info=error)
    await send_json(send, status, body, {**headers, "x-request-id": exchange.arrival.request_id})
