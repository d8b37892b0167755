"""How fast this server answers one request at a time, and how long a request of a given length may take."""

from __future__ import annotations

import collections
import dataclasses
import statistics
import time
from collections.abc import Callable

from llmops.events.speed import StreamSpeed

BATCH = 10
"""Answers whose median is one observation: a pause or a neighbour's moment does not move it."""
FIRST_TOKENS = 16
"""After so many of an answer its speed is taken, where none is known yet."""
TRUSTED_BATCHES = 3
"""From so many observations on, what was measured at the start no longer counts."""
REMEMBERED_S = 86400.0
"""The speed is the best observation of the last day: a server that gets slower is compared with how it was."""
_LEAST_OUTPUT, _LEAST_INPUT = 8, 8
"""Shorter answers and prompts tell more of the work around them than of the speed."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class LengthLimits:
    """A request may take `base_s` and `margin` times what its length takes alone. `per_token_s`: seconds for each token
    of the answer, in place of the measured speed."""

    base_s: float = 3.0
    margin: float = 3.0
    per_token_s: float | None = None


class _Rate:
    """Tokens a second, observed in batches. Until one is complete, what there is of it; at first, of answers that
    shared the server."""

    def __init__(self) -> None:
        self._measured: tuple[float, float] | None = None
        self._batch: list[float] = []
        self._shared: collections.deque[float] = collections.deque(maxlen=BATCH)
        self._medians: collections.deque[tuple[float, float]] = collections.deque(maxlen=1000)

    def measured(self, per_s: float | None, now: float) -> None:
        self._measured = None if per_s is None else (now, per_s)

    def add(self, per_s: float, now: float, *, is_alone: bool) -> None:
        if not is_alone:
            self._shared.append(per_s)
            return
        self._batch.append(per_s)
        if len(self._batch) == BATCH:
            self._medians.append((now, statistics.median(self._batch)))
            self._batch.clear()

    def best(self, now: float) -> float | None:
        """Of the last day; of what is older, the latest."""
        known = list(self._medians)
        if self._measured is not None and len(known) < TRUSTED_BATCHES:
            known.insert(0, self._measured)
        if not known:
            found = self._batch or self._shared
            return statistics.median(found) if found else None
        return max([per_s for at, per_s in known if now - at < REMEMBERED_S] or [known[-1][1]])


class SpeedEstimate:
    """Learns from answers, those that had the server to themselves before all. Used from the event loop; moments are
    monotonic."""

    def __init__(self, limits: LengthLimits | None = None, *, clock: Callable[[], float] = time.monotonic) -> None:
        self.limits = limits or LengthLimits()
        self._clock = clock
        self._writing = _Rate()
        self._reading = _Rate()
        self.speed = StreamSpeed()
        """As it is known now."""

    def measured(self, speed: StreamSpeed) -> None:
        """What the warm-up found."""
        now = self._clock()
        self._writing.measured(speed.output_tokens_per_s, now)
        self._reading.measured(speed.input_tokens_per_s, now)
        self._refresh(now)

    @property
    def is_known(self) -> bool:
        """Of the writing, which every limit needs."""
        return self.speed.output_tokens_per_s is not None

    def learn(
        self, *, read_tokens: int, prefill_s: float, output_tokens: int, decode_s: float, is_alone: bool = True
    ) -> None:
        """One answer. `read_tokens`: of its prompt, those that no cache had; `is_alone`: nothing ran beside it."""
        now = self._clock()
        if decode_s and output_tokens >= _LEAST_OUTPUT:
            self._writing.add((output_tokens - 1) / decode_s, now, is_alone=is_alone)
        if prefill_s and read_tokens >= _LEAST_INPUT:
            self._reading.add(read_tokens / prefill_s, now, is_alone=is_alone)
        self._refresh(now)

    def limit_s(self, input_tokens: int, output_tokens: int) -> float | None:
        """How long a request of this length may take; None while nothing is known of the speed."""
        limits, speed = self.limits, self.speed
        if limits.per_token_s is not None:
            return limits.base_s + limits.per_token_s * output_tokens + limits.margin * speed.prompt_s(input_tokens)
        alone_s = speed.duration_s(input_tokens, output_tokens)
        return None if alone_s is None else limits.base_s + limits.margin * alone_s

    def _refresh(self, now: float) -> None:
        self.speed = StreamSpeed(self._writing.best(now), self._reading.best(now))
