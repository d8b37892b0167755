"""The road of every request: admit, encode, wait for a turn, generate, and one event whatever became of it."""

from __future__ import annotations

import asyncio
import dataclasses
import logging
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing

from llmops.admission.gate import Gate
from llmops.admission.identity import hash_user
from llmops.admission.refusals import DeadlinePassed, NotReady
from llmops.admission.ticket import Priority, Ticket
from llmops.engine.contract import Engine, Generation, ModelCard, Piece
from llmops.events import Emit, Record
from llmops.inference.deadline import Deadline
from llmops.inference.errors import UnknownModel
from llmops.inference.exchange import Arrival, Ask, Exchange
from llmops.inference.length import EXPECTED_TOKENS, characters, check_size, fit, likely_tokens
from llmops.inference.meter import TokenMeter
from llmops.inference.speed import FIRST_TOKENS, SpeedEstimate

_log = logging.getLogger(__name__)

_ENCODED_AT_ONCE = 16_384
"""Characters that are encoded on the event loop, within a few milliseconds; a longer prompt gets a thread."""
_LIVELY_S = 10.0
"""An engine whose last token is older does not write: its answer is not complete when its time is up."""


@dataclasses.dataclass(frozen=True, slots=True)
class Admitted:
    """A request that may run, now or in turn; leaving the `with` block frees its place."""

    exchange: Exchange
    ticket: Ticket
    ask: Ask

    def __enter__(self) -> Admitted:
        return self

    def __exit__(self, *_: object) -> None:
        self.ticket.leave(self.exchange.used_tokens)


class Inference:
    """The route itself. Holds no request: each one lives in its `Exchange`."""

    def __init__(
        self,
        engine: Engine,
        gate: Gate,
        emit: Emit,
        *,
        record: Record | None = None,
        meter: TokenMeter,
        user_key: bytes,
        record_user: bool = False,
        deadline_s: float = 300.0,
        default_max_tokens: int | None = None,
        stop_loops: bool = False,
        speed: SpeedEstimate | None = None,
        new_id: Callable[[], str],
    ) -> None:
        self.engine = engine
        self.gate = gate
        self.meter = meter
        self.speed = speed or SpeedEstimate()
        self._emit = emit
        self._record = record
        self._user_key = user_key
        self._record_user = record_user
        self._deadline_s = deadline_s
        self.default_max_tokens = default_max_tokens
        self.stop_loops = stop_loops
        self._new_id = new_id

    def arrive(self, arrival: Arrival) -> Exchange:
        """Begin a request's record; whoever calls this must `close` what it returns."""
        fields: dict[str, object] = {
            "request_id": arrival.request_id,
            "trace_id": arrival.trace_id,
            "span_id": arrival.span_id,
            "path": arrival.path,
            "operation": arrival.operation,
            "synthetic": arrival.synthetic,
            "slo_eligible": arrival.is_judged,
            "client_ip": arrival.client_ip if self._record_user else None,
        }
        response_id = f"{arrival.id_prefix}{self._new_id()}"
        exchange = Exchange(arrival, fields, self._emit, response_id, self.speed.limit_s, self._record)
        self.identify(exchange, arrival.user)
        return exchange

    def identify(self, exchange: Exchange, user: str) -> None:
        """Set whose request it is, once the body has said so."""
        exchange.user = user
        exchange.fields["user_hash"] = hash_user(self._user_key, user)
        exchange.fields["user_id"] = user if self._record_user else None

    def rank(self, exchange: Exchange, priority: Priority, deadline_s: float | None) -> None:
        """Set how urgent it is, and how long it may take if that is less than the dial."""
        exchange.priority = priority
        exchange.fields["priority"] = priority.word
        exchange.deadline_s = deadline_s

    def time_left_s(self, exchange: Exchange) -> float:
        """Until its deadline, which counts from the arrival."""
        return self._deadline_of(exchange) - (time.monotonic() - exchange.arrival.clock_s)

    def admit(self, exchange: Exchange, ask: Ask) -> Admitted:
        """The place is taken before the prompt is encoded, so a refusal costs microseconds.

        Raises Refusal or InvalidRequest. Use it in a `with` block: leaving it frees the place.
        """
        self._check_ready()
        card = self.engine.card
        self._describe(exchange, ask, card)
        check_size(ask.prompt, card.max_model_len)
        left_s = self.time_left_s(exchange)
        if left_s <= 0:
            raise self._too_late(exchange)
        self.gate.cache_tokens = card.cache_tokens  # after a restart it may hold less
        self.gate.fair_share = card.fair_share
        tokens = min(card.max_model_len, likely_tokens(ask.prompt) + self._expected_tokens(ask))
        ticket = self.gate.admit(exchange.user, tokens, exchange.priority, left_s)
        exchange.fields["queue_depth"] = ticket.queue_depth
        return Admitted(exchange, ticket, ask)

    async def prepare(self, admitted: Admitted) -> Generation:
        """The prompt as token ids, and room for the answer. Raises InvalidRequest or EngineError."""
        exchange, ask = admitted.exchange, admitted.ask
        await asyncio.sleep(0)  # whoever came with us and will be refused is told first
        if characters(ask.prompt) > _ENCODED_AT_ONCE:
            prompt_ids = await asyncio.to_thread(self.engine.encode, ask.prompt, ask.template)
        else:
            prompt_ids = self.engine.encode(ask.prompt, ask.template)
        exchange.input_tokens = len(prompt_ids)
        max_tokens = fit(len(prompt_ids), self.engine.card.max_model_len, ask, self._named_tokens(ask))
        exchange.fields["max_tokens"] = max_tokens
        admitted.ticket.resize(len(prompt_ids) + min(max_tokens, self._expected_tokens(ask)))
        return Generation(
            id=exchange.response_id,
            prompt=ask.prompt,
            prompt_ids=prompt_ids,
            max_tokens=max_tokens,
            names_length=self._named_tokens(ask) is not None,
            sampling=ask.sampling.over(self.engine.card.sampling),
            stop=ask.stop,
            stop_loops=self.stop_loops if ask.stop_loops is None else ask.stop_loops,
            stop_token_ids=ask.stop_token_ids,
            min_tokens=min(ask.min_tokens, max_tokens),
            ignore_eos=ask.ignore_eos,
            body=ask.body,
            headers=_headers(exchange.arrival),
        )

    async def generate(self, admitted: Admitted, generation: Generation) -> AsyncGenerator[Piece, None]:
        """Wait for the turn, then stream the answer. Closing it early stops the generation on the engine.

        Raises DeadlinePassed or EngineError.
        """
        exchange = admitted.exchange
        deadline = Deadline(asyncio.get_running_loop().time() + self.time_left_s(exchange))
        try:
            with deadline:
                await admitted.ticket.turn()
            exchange.begin(time.monotonic())
            is_alone = self.gate.running == 1
            async with aclosing(self.engine.generate(generation)) as pieces:  # type: ignore[type-var]
                while True:
                    with deadline:
                        piece = await anext(pieces, None)
                    if piece is None:
                        break
                    exchange.took(piece)
                    self.meter.add(piece.tokens, piece.at)
                    self.meter.gaps(exchange.token_times[-piece.tokens - 1 :] if piece.tokens else ())
                    if exchange.output_tokens == FIRST_TOKENS and not self.speed.is_known:
                        exchange.teach(self.speed, is_alone=False)
                    yield piece
            exchange.teach(self.speed, is_alone=is_alone and self.gate.running == 1)
            if hint := exchange.hint():
                _log.info("request %s: %s", exchange.arrival.request_id, hint)
        except TimeoutError:
            if generation.names_length or not _writes(exchange):
                raise self._too_late(exchange) from None
            admitted.ticket.leave(exchange.used_tokens)
            last = Piece("", 0, time.monotonic(), "length", stopped_by="deadline")
            exchange.took(last)
            yield last
        finally:
            deadline.close()
            # Before the answer's end is sent: who asks again at once must not find its own last request still here.
            admitted.ticket.leave(exchange.used_tokens)
            self._note_memory(exchange)

    def _deadline_of(self, exchange: Exchange) -> float:
        return self._deadline_s if exchange.deadline_s is None else min(exchange.deadline_s, self._deadline_s)

    def _too_late(self, exchange: Exchange) -> DeadlinePassed:
        return DeadlinePassed(f"The request took longer than {self._deadline_of(exchange):g} s and was stopped.")

    def _describe(self, exchange: Exchange, ask: Ask, card: ModelCard) -> None:
        """The values that are used, whoever named them, and which of them the request left to the server."""
        used = ask.sampling.over(card.sampling)
        exchange.fields.update(
            request_model=ask.model or card.id,
            response_model=card.id,
            response_id=exchange.response_id,
            model_version=card.version,
            quantization=card.quantization,
            dtype=card.dtype,
            engine=card.engine,
            max_tokens=self._named_tokens(ask),
            temperature=used.temperature,
            top_p=used.top_p,
            top_k=used.top_k or None,
            seed=used.seed,
            stream=ask.stream,
            defaults=tuple(
                name
                for name, asked, applies in (
                    ("max_tokens", ask.max_tokens, True),
                    ("temperature", ask.sampling.temperature, used.temperature is not None),
                    ("top_p", ask.sampling.top_p, used.top_p is not None),
                    ("top_k", ask.sampling.top_k, used.top_k is not None),
                )
                if asked is None and applies
            ),
        )
        if ask.model is not None and ask.model != card.id:
            raise UnknownModel(f"The model {ask.model!r} is not served here; model must be {card.id!r}.", "model")

    def _check_ready(self) -> None:
        health = self.engine.health()
        if health.state not in ("ready", "degraded"):
            reason = health.reason or f"The engine is {health.state}."
            raise NotReady(f"{reason.rstrip('.')}: try again shortly.", 5)

    def _named_tokens(self, ask: Ask) -> int | None:
        """None: as many as the context leaves."""
        return ask.max_tokens or ask.default_max_tokens or self.default_max_tokens

    def _expected_tokens(self, ask: Ask) -> int:
        return self._named_tokens(ask) or max(EXPECTED_TOKENS, ask.min_tokens)

    def _note_memory(self, exchange: Exchange) -> None:
        stats = self.engine.stats()
        exchange.fields["peak_allocated_bytes"] = stats.peak_allocated_bytes
        exchange.fields["peak_reserved_bytes"] = stats.peak_reserved_bytes
        exchange.fields["predicted_peak_bytes"] = stats.predicted_peak_bytes


def _headers(arrival: Arrival) -> dict[str, str]:
    """By which a server behind this one records the same request."""
    trace = {} if arrival.traceparent is None else {"traceparent": arrival.traceparent}
    return {"X-Request-ID": arrival.request_id, **trace}


def _writes(exchange: Exchange) -> bool:
    """Whether tokens came until now."""
    return exchange.last_token_s is not None and time.monotonic() - exchange.last_token_s < _LIVELY_S
