"""Deletes what is older than its dial says, a little at every look, so that nothing waits for it."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping

from llmops.store.contract import Kept, Store

EVERY_S = 600.0
"""Ages are in days and go by whole hours: to look every ten minutes is often enough."""
BUDGET_S = 0.1
"""A look deletes for so long at most; the rest waits for the next one."""
_PORTION = 500
_log = logging.getLogger(__name__)


class Keeper:
    """Begins every ten minutes, and goes on at each look until nothing old is left."""

    def __init__(
        self, store: Store, ages_s: Mapping[Kept, float], *, stopwatch: Callable[[], float] = time.monotonic
    ) -> None:
        self._store = store
        self._ages_s = ages_s
        self._stopwatch = stopwatch
        self._due = 0.0

    def keep(self, now: float) -> int:
        """Rows deleted at this look. Call it only while the journal is read to its end: what is left of it may be old,
        and must be counted before it may go."""
        if now < self._due:
            return 0
        before = {kept: now - age_s for kept, age_s in self._ages_s.items()}
        began, gone = self._stopwatch(), 0
        while self._stopwatch() - began < BUDGET_S:
            more = self._store.prune(before, limit=_PORTION)
            gone += more
            if more < _PORTION:
                self._due = now + EVERY_S
                break
        if gone:
            _log.debug("%d old rows deleted", gone)
        return gone
