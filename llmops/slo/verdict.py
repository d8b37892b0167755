"""The verdict on one objective: how it stands, how fast its budget burns, and whether that is worth an alert."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Literal, TypeAlias

from llmops.slo.attainability import Unattainable
from llmops.slo.burn import BURN_ROWS, Burn, Guard, Severity, burns
from llmops.slo.exhaustion import exhausted_in_s
from llmops.slo.objectives import Budget, Objective, Tally, budget

SloState: TypeAlias = Literal["ok", "at_risk", "breached", "no_data", "unattainable"]
"""at_risk: the budget lasts, but it burns fast enough for an alert. No traffic is `no_data`, never 100 % good.
unattainable: a default that this machine cannot meet at its speed, so that nothing is judged by it."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """Everything that can be said of an objective at one moment."""

    objective: Objective
    state: SloState
    whole: Tally
    """Over the objective's own window."""
    budget: Budget
    good_ratio: float | None
    burns: tuple[Burn, ...]
    exhausted_in_s: float | None = None
    """Until the budget is spent at the pace of the last hour; 0 when it is, None when it lasts or nothing is known."""
    unattainable: Unattainable | None = None
    """Why no server of this speed meets it; None where it can be met, or nothing is known of the speed."""

    @property
    def is_muted(self) -> bool:
        """It alerts for nothing: nobody asked for it, and it cannot be met."""
        return self.unattainable is not None and not self.objective.is_explicit

    def exhausted_at_pace_of_s(self, burn: Burn) -> float | None:
        """The same at the pace of the long window of this row."""
        return exhausted_in_s(self.budget.remaining, burn.long, self.objective.window_s)

    def exceeded(self, severity: Severity) -> bool | None:
        """Is there reason for an alert of this severity? None when too little is known to say."""
        answers = [burn.exceeded for burn in self.burns if severity in (burn.severity, burn.row.severity)]
        if any(burn.exceeded and burn.severity == severity for burn in self.burns):
            return True
        return None if None in answers else False

    def fastest(self, severity: Severity) -> Burn:
        """The row to show: the exceeded one that burns fastest against its threshold, else the first."""
        own = [burn for burn in self.burns if burn.severity == severity and burn.exceeded]
        if own:
            return max(own, key=lambda burn: (burn.long or 0.0) / burn.row.threshold)
        return next(burn for burn in self.burns if burn.row.severity == severity)


def windows_needed(objective: Objective) -> tuple[float, ...]:
    """Lengths in seconds of the windows that `judge` asks for, shortest first."""
    alerting = {length for row in BURN_ROWS for length in (row.long_s, row.short_s)}
    return tuple(sorted(alerting | {objective.window_s}))


def judge(
    objective: Objective, tallies: Mapping[float, Tally], guard: Guard, unattainable: Unattainable | None = None
) -> Verdict:
    """The verdict from counts per window; `tallies` has every window of `windows_needed`."""
    whole = tallies[objective.window_s]
    spent = budget(objective, whole)
    rows = burns(tallies, objective.target, guard)
    is_muted = unattainable is not None and not objective.is_explicit
    return Verdict(
        objective=objective,
        state="unattainable" if is_muted else _state(spent, rows),
        whole=whole,
        budget=spent,
        good_ratio=1.0 - whole.bad / whole.total if whole.total else None,
        burns=rows,
        exhausted_in_s=exhausted_in_s(spent.remaining, rows[0].long, objective.window_s),
        unattainable=unattainable,
    )


def _state(spent: Budget, rows: tuple[Burn, ...]) -> SloState:
    if spent.remaining is None:
        return "no_data"
    if spent.used > spent.allowed:
        return "breached"
    return "at_risk" if any(burn.exceeded for burn in rows) else "ok"
