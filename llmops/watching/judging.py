"""Counts what the objectives ask for: short windows at every look, long ones as often as they can change."""

from __future__ import annotations

import functools
from collections.abc import Sequence

from llmops.alerts.rules import Severity
from llmops.overview.objectives import AHEAD_S, tallies
from llmops.slo import Guard, Objective, Verdict, judge
from llmops.store.contract import Counts, Store

LONG_S = 3600.0
"""A window longer than this is counted again only every `LONG_EVERY_S`: that is at most 1/360 of it."""
LONG_EVERY_S = 10.0


class Judge:
    """Asks the store and judges; what it knows of long windows is kept for a moment, so that a look costs little."""

    def __init__(self, store: Store, objectives: Sequence[Objective], guard: Guard) -> None:
        self.objectives = tuple(objectives)
        self._store = store
        self._guard = guard
        self._kept: dict[tuple[float, float], tuple[float, Counts]] = {}

    def verdicts(self, now: float) -> list[Verdict]:
        """The verdict on every objective at `now`."""
        slow_s = next((each.threshold_s for each in self.objectives if each.threshold_s is not None), 0.0)
        count = functools.cache(lambda window_s, threshold_s: self._counts(window_s, threshold_s, now))
        return [judge(each, tallies(each, slow_s, count), self._guard) for each in self.objectives]

    def exemplars(self, verdict: Verdict, now: float) -> list[str]:
        """Requests that show what is wrong, from the window whose burn speaks; none while nothing is."""
        severity: Severity = "page" if verdict.exceeded("page") else "ticket"
        if not verdict.exceeded(severity):
            return []
        objective = verdict.objective
        since = now - verdict.fastest(severity).row.long_s
        by_failure = objective.measure == "success"
        slow_s = float("inf") if by_failure or objective.threshold_s is None else objective.threshold_s
        return self._store.worst(since, now + AHEAD_S, slow_s=slow_s, failures_first=by_failure)

    def forget(self) -> None:
        """Count every window again."""
        self._kept.clear()

    def _counts(self, window_s: float, slow_s: float, now: float) -> Counts:
        kept = self._kept.get((window_s, slow_s))
        if kept and window_s > LONG_S and 0 <= now - kept[0] < LONG_EVERY_S:
            return kept[1]
        counts = self._store.counts(now - window_s, now + AHEAD_S, slow_s=slow_s)
        self._kept[window_s, slow_s] = (now, counts)
        return counts
