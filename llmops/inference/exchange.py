"""One request while it lives: what it asked, and everything that its one event will say."""

from __future__ import annotations

import dataclasses
import itertools
import math
import time
import traceback
from collections.abc import Callable, Mapping, Sequence

from llmops.admission.ticket import Priority
from llmops.engine.contract import FinishReason, Piece, Prompt, Sampling, TemplateOptions
from llmops.engine.repetition import repetition_ratio
from llmops.events import Emit, Record, RequestEvent
from llmops.inference.speed import SpeedEstimate

_MESSAGE_CHARACTERS = 1_000
_STACK_CHARACTERS = 16_000
"""An event stays far below what a log shipper takes for one line."""
_REPETITIVE = 0.5
_LEAST_TEMPERATURE, _LEAST_TOP_P = 0.7, 0.9
_WARMER = "temperature 0.7 to 1.0 and "


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """What a request wants, validated. default_max_tokens: of its route, before the server's.

    body: all of it as it came, for an engine that forwards it.
    """

    prompt: Prompt
    model: str | None = None
    max_tokens: int | None = None
    default_max_tokens: int | None = None
    sampling: Sampling = Sampling()
    stop: tuple[str, ...] = ()
    stop_loops: bool | None = None
    stop_token_ids: tuple[int, ...] = ()
    min_tokens: int = 0
    ignore_eos: bool = False
    template: TemplateOptions = TemplateOptions()
    stream: bool = False
    body: Mapping[str, object] | None = None


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Arrival:
    """What is known of a request before its body is read. `at` is Unix seconds, `clock_s` monotonic."""

    at: float
    clock_s: float
    request_id: str
    path: str
    user: str
    client_ip: str | None = None
    trace_id: str | None = None
    span_id: str | None = None
    traceparent: str | None = None
    synthetic: bool = False
    operation: str = "chat"
    id_prefix: str = "chatcmpl-"

    @property
    def is_judged(self) -> bool:
        """Whether objectives count it: they are about answers, which thousands of quick vectors would hide."""
        return not self.synthetic and self.operation != "embeddings"


class Exchange:
    """One request while it lives: collects what the event will say, and emits it once, at `close`."""

    def __init__(
        self,
        arrival: Arrival,
        fields: dict[str, object],
        emit: Emit,
        response_id: str,
        limit_s: Callable[[int, int], float | None] = lambda *_: None,
        record: Record | None = None,
    ) -> None:
        """`limit_s`: from tokens of prompt and answer to the seconds that such a request may take."""
        self.arrival = arrival
        self._limit_s = limit_s
        self.user = arrival.user
        self.key_name: str | None = None
        self.priority = Priority.INTERACTIVE
        self.deadline_s: float | None = None
        self.response_id = response_id
        self.fields = fields
        self.ignored: tuple[str, ...] = ()  # names of fields of its body that nothing here knows
        self.input_tokens: int | None = None
        self.output_tokens = 0
        self.finish_reason: FinishReason | None = None
        self.first_token_s: float | None = None
        self.last_token_s: float | None = None
        self.engine_queue_s = 0.0
        self.token_times: list[float] = []
        self.text: list[str] = []
        self._ratio: tuple[int, float | None] = (0, None)  # of so many pieces: asked more than once, measured once
        self.began_s: float | None = None
        self._ended_s: float | None = None
        self._emit = emit
        self._record = record
        self._closed = False
        self._failed = False
        self._answered = False

    @property
    def used_tokens(self) -> int:
        """Read and written by the engine so far; nothing before its turn has come."""
        return 0 if self.began_s is None else (self.input_tokens or 0) + self.output_tokens

    def begin(self, now: float) -> None:
        """Its turn has come."""
        self.began_s = now
        self.fields["queue_s"] = self.queue_s

    @property
    def queue_s(self) -> float | None:
        """Seconds from its arrival to its turn, and then inside the engine, while that computed for others."""
        return None if self.began_s is None else self.began_s - self.arrival.clock_s + self.engine_queue_s

    @property
    def prefill_s(self) -> float | None:
        """Seconds in which the engine read the prompt, up to the first token."""
        if self.first_token_s is None or self.began_s is None:
            return None
        return max(0.0, self.first_token_s - self.began_s - self.engine_queue_s)

    def took(self, piece: Piece) -> None:
        """Note a piece of the answer."""
        if piece.tokens:
            times = piece.times or (piece.at,) * piece.tokens
            if self.first_token_s is None:
                self.first_token_s = times[0]
                self._waited(piece.waited_s)
                self.fields["batch_size"] = piece.batch_size
            self.last_token_s = times[-1]
            self.token_times += times
            self.output_tokens += piece.tokens
            self.fields["loop_detected"] = piece.loop_detected
        if piece.text:
            self.text.append(piece.text)
        if piece.input_tokens is not None:
            self.input_tokens = piece.input_tokens
        if piece.cached_tokens is not None:
            self.fields["cached_tokens"] = piece.cached_tokens
        if piece.stopped_by is not None:
            self.fields["stopped_by"] = piece.stopped_by
        self.finish_reason = piece.finish_reason or self.finish_reason

    def _waited(self, in_engine_s: float | None) -> None:
        if in_engine_s is not None and self.began_s is not None and self.first_token_s is not None:
            self.engine_queue_s = min(in_engine_s, max(0.0, self.first_token_s - self.began_s))
            self.fields.update(engine_queue_s=self.engine_queue_s, queue_s=self.queue_s)

    def answered(self) -> None:
        """It has all that it asked for; an answer in text says so itself, by its finish reason."""
        self._answered = True

    def inter_token_s(self) -> list[float]:
        """The gaps between the tokens so far, in seconds, as the engine had them."""
        return [later - earlier for earlier, later in itertools.pairwise(self.token_times)]

    def hint(self) -> str | None:
        """Advice for a whole answer that repeated itself, where it was drawn more narrowly than the advice.

        None where the values are not known, as of an upstream that uses its own defaults.
        """
        temperature, top_p = self.fields.get("temperature"), self.fields.get("top_p")
        is_cold = isinstance(temperature, float | int) and temperature < _LEAST_TEMPERATURE
        is_narrow = isinstance(top_p, float | int) and top_p < _LEAST_TOP_P
        if not (is_cold or is_narrow):
            return None
        if not self.fields.get("loop_detected") and (self._repetition() or 0.0) <= _REPETITIVE:
            return None
        return f"the answer repeats itself: try {_WARMER if is_cold else ''}top_p 0.9 to 0.95"

    def teach(self, speed: SpeedEstimate, *, is_alone: bool) -> None:
        """What this answer says of the speed so far. `is_alone`: nothing ran beside it."""
        first, last = self.first_token_s, self.last_token_s
        if self.began_s is None or first is None or last is None:
            return
        cached = self.fields.get("cached_tokens")
        speed.learn(
            read_tokens=(self.input_tokens or 0) - (cached if isinstance(cached, int) else 0),
            prefill_s=first - self.began_s,
            output_tokens=self.output_tokens,
            decode_s=last - first,
            is_alone=is_alone and self.fields.get("batch_size") in (None, 1),
        )

    def failed(self, slug: str, message: str, status: int, error: BaseException | None = None) -> None:
        """Note how it failed; 4xx are the client's own and outside the objectives."""
        self._failed = True
        message = message[:_MESSAGE_CHARACTERS]
        stack = None
        if error is not None and slug == "internal":
            stack = "".join(traceback.format_exception(error))[-_STACK_CHARACTERS:]
        self.fields.update(error_type=slug, error_message=message, error_stack=stack, status_code=status)
        self.fields["slo_eligible"] = status >= 500 and self.arrival.is_judged

    def end(self) -> None:
        """The client has its answer: from here on its time no longer counts."""
        self._ended_s = time.monotonic()

    async def record(self) -> None:
        """Write the event: call it before the last bytes of an answer are sent, so that an answer that a client has
        whole is in the record, whatever becomes of the process."""
        if self._record is None or self._closed:
            return
        self.end()
        await self._record(self._event())

    def close(self) -> None:
        """Emit the event, once. Not failed and not finished means that the client left."""
        if not self._closed:
            self._emit(self._event())

    def _event(self) -> RequestEvent:
        self._closed = True
        duration_s = (self._ended_s or time.monotonic()) - self.arrival.clock_s
        outcome = "failure" if self._failed else "success" if self.finish_reason or self._answered else "unknown"
        if outcome == "unknown":
            # nginx's number for "client closed request", so that both logs agree
            self.fields.update(status_code=499, slo_eligible=False)
        self.fields.update(self._timings(), outcome=outcome, duration_s=duration_s, duration_ns=int(duration_s * 1e9))
        if self.fields.get("slo_eligible", True):
            limit_s = self._limit_s(self.input_tokens or 0, self.output_tokens)
            if limit_s is not None:
                self.fields.update(duration_limit_s=limit_s, over_limit=duration_s > limit_s)
        end = self.arrival.at + duration_s
        return RequestEvent(at=end, start=self.arrival.at, end=end, **self.fields)  # type: ignore[arg-type]

    def _timings(self) -> dict[str, object]:
        first, last = self.first_token_s, self.last_token_s
        timings: dict[str, object] = {
            "input_tokens": self.input_tokens,
            "output_tokens": self.output_tokens if self.input_tokens is not None else None,
            "finish_reasons": (self.finish_reason,) if self.finish_reason else (),
            "repetition_ratio": self._repetition(),
        }
        if first is not None and last is not None:
            timings["ttft_s"] = first - self.arrival.clock_s
            timings["decode_s"] = last - first
            timings["prefill_s"] = self.prefill_s
            if self.output_tokens > 1:
                timings["tpot_s"] = (last - first) / (self.output_tokens - 1)
                timings |= _gaps(self.inter_token_s())
        return timings

    def _repetition(self) -> float | None:
        if self._ratio[0] != len(self.text):
            self._ratio = (len(self.text), repetition_ratio("".join(self.text)))
        return self._ratio[1]


def _gaps(gaps: Sequence[float]) -> dict[str, object]:
    """Median, 99th percentile (nearest rank) and longest."""
    ranked = sorted(gaps)
    if not ranked:
        return {}
    return {
        "itl_p50_s": ranked[math.ceil(0.5 * len(ranked)) - 1],
        "itl_p99_s": ranked[math.ceil(0.99 * len(ranked)) - 1],
        "itl_max_s": ranked[-1],
    }
