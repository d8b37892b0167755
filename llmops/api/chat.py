"""`POST /v1/chat/completions` and `/v1/completions`: admitted or refused, then answered in one piece or as a stream."""

from __future__ import annotations

import asyncio
import dataclasses
import json
from collections.abc import AsyncGenerator, Callable
from typing import Any

from pydantic_core import from_json
from starlette.types import Receive, Send

from llmops.api.answer import send_stream, send_whole
from llmops.api.arriving import BodyLimits
from llmops.api.complaints import parse
from llmops.api.door import Door
from llmops.api.fields import check_text_fields
from llmops.api.leaving import until_client_leaves
from llmops.api.route import GRACE_S, EventfulRoute
from llmops.api.schema import TextRequest, forwarded
from llmops.api.shapes import Shape
from llmops.engine.contract import Piece
from llmops.inference.errors import InvalidRequest
from llmops.inference.exchange import Exchange
from llmops.inference.route import Inference


class TextRoute(EventfulRoute):
    """The route of one shape."""

    def __init__(
        self,
        inference: Callable[[], Inference],
        shape: Shape,
        door: Door,
        limits: BodyLimits,
        *,
        forwards: bool = False,
    ) -> None:
        """`forwards`: the engine passes a request on to a server that may know fields that nothing here does."""
        super().__init__(inference, door, limits)
        self._forwards = forwards
        self._request = forwarded(shape.request) if forwards else shape.request
        self.operation, self.id_prefix = shape.operation, shape.id_prefix
        self._shape = shape

    async def answer(self, inference: Inference, exchange: Exchange, body: bytes, receive: Receive, send: Send) -> None:
        """Admit it and send its answer. Raises a Failure before anything was sent."""
        request = parse(self._request, body)
        self.name_user(inference, exchange, request.user)
        extra, honoured = request.model_extra or {}, type(request).model_fields
        exchange.ignored = check_text_fields(extra, honoured, forwards=self._forwards)
        ask = request.ask()
        exchange.ignored += request.ignored
        if self._forwards:
            ask = dataclasses.replace(ask, body=_as_it_came(body))
        # Admitted or refused in one breath: a refusal never waits behind the others' tasks.
        with inference.admit(exchange, ask) as admitted:
            generation = await inference.prepare(admitted)
            pieces = inference.generate(admitted, generation)
            async with asyncio.timeout(inference.time_left_s(exchange) + GRACE_S):
                await until_client_leaves(receive, _send(send, pieces, exchange, request, self._shape))


def _as_it_came(body: bytes) -> dict[str, Any]:
    """Raises InvalidRequest for numbers that JSON does not have: the other server may not read them."""
    came: dict[str, Any] = from_json(body)
    try:
        json.dumps(came, allow_nan=False)
    except ValueError:
        raise InvalidRequest("The body holds a number that is not finite: send only finite numbers.", None) from None
    return came


async def _send(
    send: Send, pieces: AsyncGenerator[Piece, None], exchange: Exchange, request: TextRequest, shape: Shape
) -> None:
    deliver = send_stream if request.stream else send_whole
    await deliver(send, pieces, exchange, request, shape)
