"""Counts what the objectives ask for: short windows at every look, long ones as often as they can change."""

from __future__ import annotations

import functools
import logging
import math
from collections.abc import Mapping, Sequence

from llmops.alerts.evaluate import unattainable_sentence
from llmops.alerts.rules import Severity
from llmops.overview.attainability import unattainables
from llmops.overview.counting import AHEAD_S, Answer, Question, answer, verdicts
from llmops.slo import Guard, Objective, Unattainable, Verdict
from llmops.store.contract import Late, Store

LONG_S = 3600.0
"""A window longer than this is counted again only every `LONG_EVERY_S`: that is at most 1/360 of it."""
LONG_EVERY_S = 10.0
ATTAIN_EVERY_S = 5.0
_log = logging.getLogger(__name__)


class Judge:
    """Asks the store and judges; what it knows of long windows is kept for a moment, so that a look costs little."""

    def __init__(self, store: Store, objectives: Sequence[Objective], guard: Guard) -> None:
        self.objectives = tuple(objectives)
        self._store = store
        self.guard = guard
        self._attained: tuple[float, Mapping[str, Unattainable]] | None = None
        self._known_unattainable: frozenset[str] = frozenset()
        self._kept: dict[tuple[Question, float], tuple[float, Answer]] = {}

    def verdicts(self, now: float) -> list[Verdict]:
        """The verdict on every objective at `now`."""
        return verdicts(
            self.objectives,
            self.guard,
            lambda question, window_s: self._answer(question, window_s, now),
            self._unattainables(now),
        )

    def exemplars(self, verdict: Verdict, now: float) -> list[str]:
        """Requests that show what is wrong, from the window whose burn speaks; none while nothing is."""
        severity: Severity = "page" if verdict.exceeded("page") else "ticket"
        if not verdict.exceeded(severity):
            return []
        since, until = now - verdict.fastest(severity).row.long_s, now + AHEAD_S
        return self._worst(verdict.objective, since, until)

    def forget(self) -> None:
        """Count every window again."""
        self._kept.clear()

    def _worst(self, objective: Objective, since: float, until: float) -> list[str]:
        """What is bad for this objective; of late first tokens the latest, or else what failed without one."""
        if objective.measure == "probe":
            return []  # no request of a user shows it, and `llmops requests` has none of its own
        if objective.measure == "duration_for_length":
            return self._store.worst(since, until, slow_s=0.0, failures_first=False, by="limit")
        failures = functools.partial(self._store.worst, since, until, slow_s=math.inf)
        if objective.threshold_s is None:
            return failures()
        by: Late = "ttft" if objective.measure == "ttft" else "duration"
        late = self._store.worst(since, until, slow_s=objective.threshold_s, failures_first=False, by=by)
        return late or (failures() if by == "ttft" else [])

    def _unattainables(self, now: float) -> Mapping[str, Unattainable]:
        """Which of them this server cannot meet; each is logged once, and again when it is another."""
        if self._attained is None or not 0 <= now - self._attained[0] < ATTAIN_EVERY_S:
            found = unattainables(self._store, self.objectives, now)
            for name, each in found.items():
                if name not in self._known_unattainable:
                    objective = next(one for one in self.objectives if one.id == name)
                    _log.warning("%s: %s", name, unattainable_sentence(objective, each))
            self._known_unattainable = frozenset(found)
            self._attained = now, found
        return self._attained[1]

    def _answer(self, question: Question, window_s: float, now: float) -> Answer:
        kept = self._kept.get((question, window_s))
        if kept and window_s > LONG_S and 0 <= now - kept[0] < LONG_EVERY_S:
            return kept[1]
        found = answer(self._store, question, window_s, now)
        self._kept[question, window_s] = (now, found)
        return found
