"""Where every objective stands now, in full: what `llmops slo` shows."""

from __future__ import annotations

import dataclasses

from llmops.overview.attainability import unattainables
from llmops.overview.counting import AHEAD_S, answer, verdicts
from llmops.overview.objectives import chip, guard_of, objectives_of
from llmops.settings import ObjectiveSettings
from llmops.slo import Objective, SloState, Verdict
from llmops.store.contract import Measure, Questions

BURN_WINDOWS_S = (3600.0, 6 * 3600.0, 3 * 86400.0)
"""Long windows of the burn table that are shown: the last hour, six hours, three days."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """One objective now. `p99_s`: of what it limits, None where it limits nothing or nothing is known."""

    verdict: Verdict
    state: SloState
    p99_s: float | None

    @property
    def objective(self) -> Objective:
        """Whose it is."""
        return self.verdict.objective

    def burn(self, window_s: float) -> float | None:
        """How many times faster than allowed over this long window."""
        return next(burn.long for burn in self.verdict.burns if burn.row.long_s == window_s)


def standings(store: Questions, now: float, settings: ObjectiveSettings) -> list[Standing]:
    """Each objective, in their order, judged as the alerts judge it. Raises BadObjectives."""
    objectives = objectives_of(settings)
    found = verdicts(
        objectives,
        guard_of(settings),
        lambda question, window_s: answer(store, question, window_s, now),
        unattainables(store, objectives, now),
    )
    return [
        Standing(
            verdict=verdict, state=chip(verdict, settings.min_bad).state, p99_s=_p99_s(store, verdict.objective, now)
        )
        for verdict in found
    ]


def _p99_s(store: Questions, objective: Objective, now: float) -> float | None:
    limited: dict[str, Measure] = {"duration": "duration", "ttft": "ttft"}
    measure = limited.get(objective.measure)
    return store.percentiles(measure, now - objective.window_s, now + AHEAD_S).p99 if measure else None
