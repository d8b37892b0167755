"""What every route that leaves an event shares: from a request's arrival to that one event, whatever becomes of it."""

from __future__ import annotations

import abc
import asyncio
import logging
from collections.abc import Callable
from http import HTTPStatus

from starlette.requests import ClientDisconnect
from starlette.types import Receive, Scope, Send

from llmops.admission.refusals import Refusal
from llmops.api.answer import send_json
from llmops.api.arriving import BodyLimits, arrival_of
from llmops.api.door import Door, deadline_of, priority_of
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

    def __init__(self, inference: Callable[[], Inference], door: Door, limits: BodyLimits) -> None:
        self._inference = inference
        self._door = door
        self._limits = limits

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request; the client's departure cancels all of it."""
        inference = self._inference()
        headers: dict[bytes, bytes] = dict(scope["headers"])
        exchange = inference.arrive(arrival_of(scope, headers, self.operation, self.id_prefix))
        try:
            self._enter(inference, exchange, scope, headers)
            body = await self._limits.body(headers, receive)
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

    def _enter(self, inference: Inference, exchange: Exchange, scope: Scope, headers: dict[bytes, bytes]) -> None:
        """Before anything is read: whose request it is by its key, and how urgent."""
        key, front_end = self._door.key_of(scope, headers), self._door.front_end
        if key is not None:
            exchange.key_name = key.name
            inference.identify(exchange, key.name)
        user = front_end.user_of(key, headers)
        if user is not None:
            inference.identify(exchange, user)
        is_background = front_end.is_background(headers)
        priority = priority_of(headers, is_synthetic=exchange.arrival.synthetic, is_background=is_background)
        inference.rank(exchange, priority, deadline_of(headers))

    def name_user(self, inference: Inference, exchange: Exchange, user: str | None) -> None:
        """The body's word for who asks; a key's limits hold whatever name its holder gives."""
        if user and exchange.key_name is None:
            inference.identify(exchange, user)

    @abc.abstractmethod
    async def answer(self, inference: Inference, exchange: Exchange, body: bytes, receive: Receive, send: Send) -> None:
        """Admit it and send its answer. Raises a Failure before anything was sent."""


async def _refuse(send: Send, exchange: Exchange, error: Exception) -> None:
    slug, status, body, headers = describe(error)
    exchange.failed(slug, str(error) or type(error).__name__, status, error)
    if slug == "internal":
        _log.error("request %s failed", exchange.arrival.request_id, exc_info=error)
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR and not isinstance(error, Refusal):
        await exchange.record()  # refusals and bad requests, which come in floods, are written after their answers
    await send_json(send, status, body, {**headers, "x-request-id": exchange.arrival.request_id})
