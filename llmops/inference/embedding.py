"""The road of a request for vectors: a chat's admission and event, another engine behind its own gate."""

from __future__ import annotations

import asyncio
import dataclasses
import time

from llmops.admission.gate import Gate
from llmops.admission.refusals import DeadlinePassed, NotReady
from llmops.admission.ticket import Ticket
from llmops.engine.embedding import Embedded, EmbeddingCard, EmbeddingEngine
from llmops.engine.errors import PromptTooLong
from llmops.inference.errors import ContextTooLong, InvalidRequest, UnknownModel
from llmops.inference.exchange import Exchange


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class EmbeddingAsk:
    """What a request wants, validated."""

    texts: list[str]
    model: str | None = None
    dimensions: int | None = None


class Embeddings:
    """Admission and deadline around one embedding engine. `front`, the answers' gate, drains both."""

    def __init__(self, engine: EmbeddingEngine, gate: Gate, front: Gate, *, deadline_s: float = 300.0) -> None:
        self.engine = engine
        self.gate = gate
        self._front = front
        self.deadline_s = deadline_s

    @property
    def card(self) -> EmbeddingCard | None:
        """The model, once it is loaded."""
        return self.engine.card if self.engine.health().state == "ready" else None

    def admit(self, exchange: Exchange, ask: EmbeddingAsk) -> Ticket:
        """The right to run, now or in turn; whoever gets it must `leave` it. Raises Refusal or InvalidRequest."""
        card = self.card
        if card is None:
            reason = self.engine.health().reason or "The embedding model is loading."
            raise NotReady(f"{reason.rstrip('.')}: try again shortly.", 5)
        _describe(exchange, ask, card)
        if self._front.draining:
            self.gate.drain()
        ticket = self.gate.admit(exchange.user, priority=exchange.priority)
        exchange.fields["queue_depth"] = ticket.queue_depth
        return ticket

    async def embed(self, exchange: Exchange, ticket: Ticket, ask: EmbeddingAsk) -> Embedded:
        """Wait for the turn, then the vectors. Cancelling it stops the work after its batch.

        Raises DeadlinePassed, InvalidRequest or EngineError.
        """
        try:
            async with asyncio.timeout(self.deadline_s):
                await ticket.turn()
                exchange.begin(time.monotonic())
                embedded = await self.engine.embed(ask.texts)
        except TimeoutError:
            raise DeadlinePassed(f"The request took longer than {self.deadline_s:g} s and was stopped.") from None
        except PromptTooLong as error:
            raise ContextTooLong(str(error), "input") from None
        exchange.input_tokens = embedded.tokens
        exchange.answered()
        return embedded


def _describe(exchange: Exchange, ask: EmbeddingAsk, card: EmbeddingCard) -> None:
    exchange.fields.update(
        request_model=ask.model or card.id,
        response_model=card.id,
        response_id=exchange.response_id,
        model_version=card.version,
        dtype=card.dtype,
        engine=card.engine,
        stream=False,
    )
    if ask.model is not None and ask.model != card.id:
        raise UnknownModel(f"The model {ask.model!r} embeds nothing here; model must be {card.id!r}.", "model")
    if ask.dimensions not in (None, card.dimensions):
        raise InvalidRequest(
            f"dimensions is {ask.dimensions}, but this model's vectors have {card.dimensions} and are never cut: "
            "leave it out.",
            "dimensions",
        )
