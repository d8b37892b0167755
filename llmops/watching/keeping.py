"""Deletes what is older than its dial says, a little at every look, so that nothing waits for it."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Mapping

from llmops.store.contract import Kept, Store

EVERY_S = 600.0
"""Ages are in days and go by whole hours: to look every ten minutes is often enough."""
BUDGET_S = 0.1
"""A look deletes for so long at most; the rest waits for the next one."""
FASTEST = 24.0
"""What ages are counted from moves at most so many times faster than the stopwatch: a clock that was far ahead for ten
minutes, with requests recorded meanwhile, costs the oldest four hours; a machine that slept catches up."""
_PORTION = 500
_log = logging.getLogger(__name__)


class Keeper:
    """Begins every ten minutes, and goes on at each look until nothing old is left.

    The clock alone ages nothing, for what was deleted is not recorded again: ages are counted from the newest recorded
    request, and from there on by the stopwatch. Before the first request nothing goes.
    """

    def __init__(
        self, store: Store, ages_s: Mapping[Kept, float], *, stopwatch: Callable[[], float] = time.monotonic
    ) -> None:
        self._store = store
        self._ages_s = ages_s
        self._stopwatch = stopwatch
        self._done_at: float | None = None
        self._reached: tuple[float, float] | None = None  # what ages are counted from, and the stopwatch then

    def keep(self, now: float) -> int:
        """Rows deleted at this look. Call it only while the journal is read to its end: what is left of it may be old,
        and must be counted before it may go."""
        if self._done_at is not None and 0 <= now - self._done_at < EVERY_S:
            return 0
        began, gone = self._stopwatch(), 0
        reached = self._reach(now, began)
        before = {kept: reached - age_s for kept, age_s in self._ages_s.items()}
        while math.isfinite(reached) and self._stopwatch() - began < BUDGET_S:
            more = self._store.prune(before, limit=_PORTION)
            gone += more
            if more < _PORTION:
                self._done_at = now
                break
        if gone:
            _log.debug("%d old rows deleted", gone)
        return gone

    def _reach(self, now: float, stopwatch_s: float) -> float:
        """What ages are counted from at this look, never beyond `now`; -inf before the first request."""
        reached = max((row.at for row in self._store.requests(limit=1, before=now)), default=-math.inf)
        if self._reached is not None:
            then, then_s = self._reached
            passed_s = stopwatch_s - then_s
            reached = min(now, max(reached, then + passed_s), then + FASTEST * passed_s)
        if math.isfinite(reached):
            self._reached = (reached, stopwatch_s)
        return reached
