"""Makes the speed of one answer known: measures it at the start, and writes it down whenever it has changed."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable

from llmops.engine.contract import Engine, ModelCard
from llmops.events import Emit
from llmops.events.speed import StreamSpeed, tokens
from llmops.inference.length import EXPECTED_TOKENS
from llmops.inference.speed import SpeedEstimate
from llmops.inference.warmup import measure_speed, speed_event

CHANGED = 1.2
"""So many times faster or slower than what was written last is another speed."""
EVERY_S = 60.0
_MEASURED_ENGINES = ("transformers", "transformers-sequential")
"""Those that compute here; elsewhere a measurement would cost somebody tokens, and an echo has no speed."""
_log = logging.getLogger(__name__)


class SpeedRecord:
    """One event at the start, and one when answers have shown another speed. Used from the event loop."""

    def __init__(
        self,
        estimate: SpeedEstimate,
        emit: Emit,
        *,
        default_max_tokens: int | None,
        deadline_s: float,
        latency_threshold_s: float,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._estimate = estimate
        self._emit = emit
        self._default_max_tokens = default_max_tokens
        self._deadline_s = deadline_s
        self._latency_threshold_s = latency_threshold_s
        self._clock = clock
        self._now = now
        self._card: ModelCard | None = None
        self._written = StreamSpeed()
        self._written_at = -math.inf
        self._has_warned = False

    async def begin(self, engine: Engine, is_busy: Callable[[], bool]) -> str:
        """Measure, unless a request comes first, and write it down. Returns what to log of it."""
        self._card = card = engine.card
        if card.engine in _MEASURED_ENGINES:
            self._estimate.measured(await measure_speed(engine, is_busy))
        self._write("start")
        return self._estimate.speed.sentence() + self._what_holds()

    def _what_holds(self) -> str:
        """The longest answer that meets the fixed latency objective."""
        per_s = self._estimate.speed.output_tokens_per_s
        if per_s is None:
            return ""
        longest = int(per_s * self._latency_threshold_s)
        return (
            f"; answers of up to {longest:,} tokens meet objectives.latency_threshold_s = {self._latency_threshold_s:g}"
        )

    def follow(self) -> None:
        """Write it down again where answers have shown another; call it now and then."""
        if self._clock() - self._written_at < EVERY_S and self._written.output_tokens_per_s is not None:
            return
        if _differ(self._estimate.speed, self._written):
            self._write("requests")
            _log.info("measured by requests: %s", self._estimate.speed.sentence())

    def _write(self, trigger: str) -> None:
        self._written, self._written_at = self._estimate.speed, self._clock()
        self._emit(
            speed_event(
                self._written,
                at=self._now(),
                trigger=trigger,
                default_max_tokens=self._default_max_tokens or EXPECTED_TOKENS,
                model=self._card.id if self._card else None,
                model_version=self._card.version if self._card else None,
            )
        )
        self._warn_of_deadline()

    def _warn_of_deadline(self) -> None:
        per_s, most = self._written.output_tokens_per_s, self._default_max_tokens
        if per_s is None or most is None or most / per_s <= self._deadline_s or self._has_warned:
            return
        self._has_warned = True
        needed_s = math.ceil(1.5 * most / per_s)
        _log.warning(
            "an answer of %d tokens (admission.default_max_tokens) takes %.0f s at %s tokens/s, longer than "
            "admission.deadline_s allows (%g s): set deadline_s = %d or default_max_tokens = %d under [admission] in "
            "llmops.toml",
            most,
            most / per_s,
            tokens(per_s),
            self._deadline_s,
            needed_s,
            max(1, int(per_s * self._deadline_s / 1.5)),
        )


def _differ(speed: StreamSpeed, written: StreamSpeed) -> bool:
    return any(
        new is not None and (old is None or not 1 / CHANGED <= new / old <= CHANGED)
        for new, old in zip(speed, written, strict=True)
    )
