"""What every route that leaves an event shares: from a request's arrival to that one event, whatever becomes of it."""

from __future__ import annotations

import abc
import asyncio
import logging
from collections.abc import Callable

from starlette.requests import ClientDisconnect
from starlette.types import Receive, Scope, Send

from llmops.api.answer import send_json
from llmops.api.arriving import Door, arrival_of
from llmops.api.errors import describe
from llmops.inference.exchange import Exchange
from llmops.inference.route import Inference

_log = logging.getLogger(__name__)

GRACE_S = 10.0
"""What answers has its own deadline; so much later one ends for a client that stops reading its answer."""


class EventfulRoute(abc.ABC):
    """An ASGI application for one path. Every request that reaches it emits exactly one event."""

    operation: str
    id_prefix: str

    def __init__(self, inference: Callable[[], Inference], door: Door) -> None:
        self._inference = inference
        self._door = door

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request; the client's departure cancels all of it."""
        inference = self._inference()
        exchange = inference.arrive(arrival_of(scope, self.operation, self.id_prefix))
        try:
            body = await self._door.body(scope, receive)
            await self.answer(inference, exchange, body, receive, send)
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

    @abc.abstractmethod
    async def answer(self, inference: Inference, exchange: Exchange, body: bytes, receive: Receive, send: Send) -> None:
        """Admit it and send its answer. Raises a Failure before anything was sent."""


async def _refuse(send: Send, exchange: Exchange, error: Exception) -> None:
    slug, status, body, headers = describe(error)
    exchange.failed(slug, str(error) or type(error).__name__, status, error)
    if slug == "internal":
        _log.error("request %s failed", exchange.arrival.request_id, exc_info=error)
    await send_json(send, status, body, {**headers, "x-request-id": exchange.arrival.request_id})
