"""Who or what spent the error budgets of a span: counts of each day, and whose the bad requests were."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Mapping, Sequence

from llmops.overview.counting import counted_s, question_of, tally_of, within
from llmops.slo import Budget, Objective, Tally, budget
from llmops.store.contract import Blame, Blamed, Over, Questions

DAY_S = 86400.0
BLAMED: tuple[Blamed, ...] = ("user", "version", "error", "hour")
MOST = 5
"""So many of each are told; of hours all are known."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Day:
    """One day in UTC, or what of it belongs to the span."""

    start: float
    tally: Tally


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Spending:
    """One objective over the span."""

    objective: Objective
    whole: Tally
    budget: Budget
    days: tuple[Day, ...]
    blame: Mapping[Blamed, tuple[Blame, ...]]
    """Empty for probes, which are nobody's."""
    attributed: int
    """Bad requests that are held one by one; the rest of `whole.bad` is a number only, and nobody is blamed for it."""

    @property
    def good_ratio(self) -> float | None:
        """None without traffic."""
        return 1.0 - self.whole.bad / self.whole.total if self.whole.total else None

    @property
    def worst(self) -> Day | None:
        """The day that spent most; of equal ones the one with less traffic. None while nothing is spent."""
        bad = [day for day in self.days if day.tally.bad]
        return max(bad, key=lambda day: (day.tally.bad, -day.tally.total), default=None)


def spendings(store: Questions, objectives: Sequence[Objective], since: float, until: float) -> list[Spending]:
    """Each objective, in their order."""
    slow_s = counted_s(objectives, "duration") or 0.0
    return [_spending(store, objective, slow_s, since, until) for objective in objectives]


def _spending(store: Questions, objective: Objective, slow_s: float, since: float, until: float) -> Spending:
    question = question_of(objective, slow_s)

    def tally(begin: float, end: float) -> Tally:
        return tally_of(objective, within(store, question, begin, end))

    whole = tally(since, until)
    blame = dict(_blame(store, objective, since, until)) if whole.bad else {}
    return Spending(
        objective=objective,
        whole=whole,
        budget=budget(objective, whole),
        days=tuple(Day(start=begin, tally=tally(begin, end)) for begin, end in _days(since, until)),
        blame=blame,
        attributed=sum(each.bad for each in blame.get("hour", ())),
    )


def _blame(
    store: Questions, objective: Objective, since: float, until: float
) -> Iterator[tuple[Blamed, tuple[Blame, ...]]]:
    if objective.measure == "probe":
        return
    over = Over("limit", 0.0) if objective.measure == "duration_for_length" else None
    if objective.threshold_s is not None:
        over = Over("ttft" if objective.measure == "ttft" else "duration", objective.threshold_s)
    for by in BLAMED:
        limit = 24 if by == "hour" else MOST
        yield by, tuple(store.blame(since, until, by=by, over=over, limit=limit))


def _days(since: float, until: float) -> Iterator[tuple[float, float]]:
    begin = since
    while begin < until:
        end = min(math.floor(begin / DAY_S + 1) * DAY_S, until)
        yield begin, end
        begin = end
