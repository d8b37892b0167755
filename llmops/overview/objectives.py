"""Which objectives there are, for everybody who judges or shows them, and where each of them stands."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from llmops.alerts.evaluate import unattainable_phrase
from llmops.overview.attainability import unattainables
from llmops.overview.contract import SloChip
from llmops.overview.counting import answer, verdicts
from llmops.overview.objectivefile import read_objectives
from llmops.settings import ObjectiveSettings
from llmops.slo import Guard, Objective, SloState, Verdict, default_objectives
from llmops.store.contract import Store

_SETTINGS: Mapping[str, frozenset[str]] = {
    "availability": frozenset({"availability_target"}),
    "latency": frozenset({"latency_threshold_s", "latency_target"}),
    "ttft": frozenset({"ttft_threshold_s", "ttft_target"}),
    "speed": frozenset({"speed_target", "speed_base_s", "speed_margin", "speed_per_token_s"}),
}
"""Of each objective, those that make it somebody's own where they are written."""
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
        speed_target=settings.speed_target,
        explicit=[name for name, its in _SETTINGS.items() if not its.isdisjoint(settings.model_fields_set)],
    )


def guard_of(settings: ObjectiveSettings) -> Guard:
    """How much must have happened before anybody is woken up."""
    return Guard(min_bad=settings.min_bad, min_total=settings.min_total, keep_s=settings.keep_s)


def chips(store: Store, now: float, settings: ObjectiveSettings) -> tuple[SloChip, ...]:
    """Each objective, in their order. A window without traffic has no data, it is never 100 % good.

    Raises BadObjectives as `objectives_of` does.
    """
    objectives = objectives_of(settings)
    found = verdicts(
        objectives,
        guard_of(settings),
        lambda question, window_s: answer(store, question, window_s, now),
        unattainables(store, objectives, now),
    )
    return tuple(chip(verdict, settings.min_bad) for verdict in found)


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
        exhausted_in_s=verdict.exhausted_in_s,
        state=state,
        unattainable=unattainable_phrase(verdict),
    )
