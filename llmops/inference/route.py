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
from llmops.engine.contract import Engine, Generation, ModelCard, Piece, Prompt
from llmops.events import Emit, Record
from llmops.inference.deadline import Deadline
from llmops.inference.errors import ContextTooLong, UnknownModel
from llmops.inference.exchange import Arrival, Ask, Exchange
from llmops.inference.meter import TokenMeter
from llmops.inference.speed import FIRST_TOKENS, SpeedEstimate

_log = logging.getLogger(__name__)

_ENCODED_AT_ONCE = 16_384
"""Characters that are encoded on the event loop, within a few milliseconds; a longer prompt gets a thread."""
_MOST_CHARACTERS_A_TOKEN = 16
"""No text has so many characters a token on average: what is longer than this is refused without counting."""
_BYTES_A_TOKEN = 4
_TOKENS_A_TURN = 5


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
        default_max_tokens: int = 512,
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
        self._check_size(ask.prompt, card.max_model_len)
        left_s = self.time_left_s(exchange)
        if left_s <= 0:
            raise self._too_late(exchange)
        self.gate.cache_tokens = card.cache_tokens  # after a restart it may hold less
        self.gate.fair_share = card.fair_share
        tokens = min(card.max_model_len, _likely_tokens(ask.prompt) + self._answer_tokens(ask))
        ticket = self.gate.admit(exchange.user, tokens, exchange.priority, left_s)
        exchange.fields["queue_depth"] = ticket.queue_depth
        return Admitted(exchange, ticket, ask)

    async def prepare(self, admitted: Admitted) -> Generation:
        """The prompt as token ids, and room for the answer. Raises InvalidRequest or EngineError."""
        exchange, ask = admitted.exchange, admitted.ask
        await asyncio.sleep(0)  # whoever came with us and will be refused is told first
        if _characters(ask.prompt) > _ENCODED_AT_ONCE:
            prompt_ids = await asyncio.to_thread(self.engine.encode, ask.prompt)
        else:
            prompt_ids = self.engine.encode(ask.prompt)
        exchange.input_tokens = len(prompt_ids)
        max_tokens = self._fit(len(prompt_ids), ask)
        exchange.fields["max_tokens"] = max_tokens
        admitted.ticket.resize(len(prompt_ids) + max_tokens)
        return Generation(
            id=exchange.response_id,
            prompt=ask.prompt,
            prompt_ids=prompt_ids,
            max_tokens=max_tokens,
            sampling=ask.sampling.over(self.engine.card.sampling),
            stop=ask.stop,
            stop_loops=self.stop_loops if ask.stop_loops is None else ask.stop_loops,
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
            raise self._too_late(exchange) from None
        finally:
            deadline.close()
            # Before the answer's end is sent: who asks again at once must not find its own last request still here.
            admitted.ticket.leave(exchange.used_tokens)
            self._note_memory(exchange)

    def _deadline_of(self, exchange: Exchange) -> float:
        return self._deadline_s if exchange.deadline_s is None else min(exchange.deadline_s, self._deadline_s)

    def _too_late(self, exchange: Exchange) -> DeadlinePassed:
        return DeadlinePassed(f"The request took longer than {self._deadline_of(exchange):g} s and was stopped.")

    def _check_size(self, prompt: Prompt, limit: int) -> None:
        characters = _characters(prompt)
        if characters > limit * _MOST_CHARACTERS_A_TOKEN:
            field = _field(prompt)
            tokens = characters // _BYTES_A_TOKEN
            raise ContextTooLong(
                f"{field} holds {characters} characters, about {tokens} tokens, and the model's context is {limit}: "
                f"shorten {field} by about {tokens - limit} tokens.",
                field,
            )

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
            max_tokens=self._answer_tokens(ask),
            temperature=used.temperature,
            top_p=used.top_p,
            top_k=used.top_k,
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

    def _answer_tokens(self, ask: Ask) -> int:
        return ask.max_tokens or ask.default_max_tokens or self.default_max_tokens

    def _fit(self, prompt_tokens: int, ask: Ask) -> int:
        limit, asked, field = self.engine.card.max_model_len, ask.max_tokens, _field(ask.prompt)
        room = limit - prompt_tokens
        if room < 1:
            raise ContextTooLong(
                f"{field} holds {prompt_tokens} tokens and the model's context is {limit}: shorten {field} by "
                f"{1 - room} tokens, so that an answer of one token fits.",
                field,
            )
        if asked is not None and asked > room:
            raise ContextTooLong(
                f"{field} holds {prompt_tokens} tokens and max_tokens asks for {asked} more, but the model's "
                f"context is {limit}: lower max_tokens to {room} or shorten {field}.",
                "max_tokens",
            )
        return min(room, self._answer_tokens(ask))

    def _note_memory(self, exchange: Exchange) -> None:
        stats = self.engine.stats()
        exchange.fields["peak_allocated_bytes"] = stats.peak_allocated_bytes
        exchange.fields["peak_reserved_bytes"] = stats.peak_reserved_bytes
        exchange.fields["predicted_peak_bytes"] = stats.predicted_peak_bytes


def _characters(prompt: Prompt) -> int:
    return len(prompt) if isinstance(prompt, str) else sum(len(message.content) for message in prompt)


def _likely_tokens(prompt: Prompt) -> int:
    """A token has about 4 bytes of UTF-8, in English as in Chinese; a turn has some more around it."""
    texts = [prompt] if isinstance(prompt, str) else [message.content for message in prompt]
    bytes_ = sum([len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass")) for text in texts])
    return bytes_ // _BYTES_A_TOKEN + _TOKENS_A_TURN * len(texts)


def _field(prompt: Prompt) -> str:
    """What the client calls it."""
    return "prompt" if isinstance(prompt, str) else "messages"
