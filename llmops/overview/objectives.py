"""Where each objective stands: counts from the store, judged as the alerts judge them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

from llmops.overview.contract import SloChip
from llmops.overview.objectivefile import read_objectives
from llmops.settings import ObjectiveSettings
from llmops.slo import Guard, Objective, SloState, Tally, Verdict, default_objectives, judge, windows_needed
from llmops.store.contract import Counts, Store

Count: TypeAlias = Callable[[float, float], Counts]
"""Counts the last so many seconds; a request that took longer than the second number is slow."""

AHEAD_S = 1.0
"""Clocks of two processes differ a little: what ended a moment from now counts as well."""
_BURN_ROW = 0
"""The first row of the burn table: the last hour, with five minutes as its short window."""


def objectives_of(settings: ObjectiveSettings) -> tuple[Objective, ...]:
    """What is judged: of the file that the dials name, or else of the dials. Raises BadObjectives with one sentence."""
    if settings.file:
        return read_objectives(Path(settings.file))
    return default_objectives(
        window_s=settings.window_s,
        latency_threshold_s=settings.latency_threshold_s,
        latency_target=settings.latency_target,
        availability_target=settings.availability_target,
        ttft_threshold_s=settings.ttft_threshold_s,
        ttft_target=settings.ttft_target,
    )


def chips(store: Store, now: float, settings: ObjectiveSettings) -> tuple[SloChip, ...]:
    """Availability, then latency. A window without traffic has no data, it is never 100 % good."""
    guard = Guard(min_bad=settings.min_bad, min_total=settings.min_total)
    objectives = [each for each in objectives_of(settings) if each.measure in ("success", "duration")]

    def count(window_s: float, slow_s: float) -> Counts:
        return store.counts(now - window_s, now + AHEAD_S, slow_s=slow_s)

    verdicts = [judge(each, tallies(each, settings.latency_threshold_s, count), guard) for each in objectives]
    return tuple(chip(verdict, settings.min_bad) for verdict in verdicts)


def tallies(objective: Objective, slow_s: float, count: Count) -> dict[float, Tally]:
    """Good and bad in every window that the verdict asks for; `slow_s` where the objective has no threshold."""
    slow_s = slow_s if objective.threshold_s is None else objective.threshold_s
    found = {}
    for window_s in windows_needed(objective):
        counts = count(window_s, slow_s)
        found[window_s] = Tally(counts.total, counts.failed if objective.measure == "success" else counts.slow)
    return found


def chip(verdict: Verdict, min_bad: int) -> SloChip:
    """The verdict as the screen shows it. Fewer than `min_bad` failures put an objective at risk, no more."""
    state: SloState = verdict.state
    if state == "breached" and verdict.whole.bad < min_bad:
        state = "at_risk"
    return SloChip(
        name=verdict.objective.id,
        target=verdict.objective.target,
        window_s=verdict.objective.window_s,
        total=verdict.whole.total,
        bad=verdict.whole.bad,
        allowed_bad=verdict.budget.allowed,
        good_ratio=verdict.good_ratio,
        budget_remaining=verdict.budget.remaining,
        burn=verdict.burns[_BURN_ROW].long,
        state=state,
    )
