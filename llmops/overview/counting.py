"""From objectives to what they ask of the record, and from its counts to verdicts; what two ask alike is asked once."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Literal, NamedTuple, TypeAlias

from llmops.slo import Guard, Objective, Tally, Unattainable, Verdict, judge, windows_needed
from llmops.store.contract import Counts, Judged, Questions

AHEAD_S = 1.0
"""Clocks of two processes differ a little: what ended a moment from now counts as well."""


class Question(NamedTuple):
    """What an objective asks of a span: about requests that are slow or fail, about first tokens, about requests that
    took longer than their length may take, about probes."""

    about: Literal["requests", "first_tokens", "limited", "probes"]
    threshold_s: float = 0.0


Answer: TypeAlias = Counts | Judged
Count: TypeAlias = Callable[[Question, float], Answer]
"""The answer over the last so many seconds."""


def verdicts(
    objectives: Sequence[Objective],
    guard: Guard,
    count: Count,
    unattainable: Mapping[str, Unattainable] = MappingProxyType({}),
) -> list[Verdict]:
    """The verdict on each of them, in their order. `unattainable`: by id, those that this server cannot meet."""
    slow_s = counted_s(objectives, "duration") or 0.0
    once = functools.cache(count)
    return [judge(each, tallies(each, slow_s, once), guard, unattainable.get(each.id)) for each in objectives]


def counted_s(objectives: Sequence[Objective], measure: Literal["duration", "ttft"]) -> float | None:
    """The threshold that the record keeps counts for: the first one of this measure."""
    return next((each.threshold_s for each in objectives if each.measure == measure), None)


def tallies(objective: Objective, slow_s: float, count: Count) -> dict[float, Tally]:
    """Good and bad in every window that the verdict asks for; `slow_s` where the objective has no threshold."""
    question = question_of(objective, slow_s)
    return {window_s: tally_of(objective, count(question, window_s)) for window_s in windows_needed(objective)}


def question_of(objective: Objective, slow_s: float) -> Question:
    """Success is asked for together with the threshold of durations, so that both are one question."""
    if objective.measure == "probe":
        return Question("probes")
    if objective.measure == "duration_for_length":
        return Question("limited")
    threshold_s = slow_s if objective.threshold_s is None else objective.threshold_s
    return Question("first_tokens" if objective.measure == "ttft" else "requests", threshold_s)


def answer(store: Questions, question: Question, window_s: float, now: float) -> Answer:
    """The last `window_s`, asked of the record."""
    return within(store, question, now - window_s, now + AHEAD_S)


def within(store: Questions, question: Question, since: float, until: float) -> Answer:
    """The same of any span."""
    if question.about == "probes":
        return store.probes(since, until)
    if question.about == "limited":
        return store.limited(since, until)
    if question.about == "first_tokens":
        return store.first_tokens(since, until, late_s=question.threshold_s)
    return store.counts(since, until, slow_s=question.threshold_s)


def tally_of(objective: Objective, found: Answer) -> Tally:
    """What the answer says of this objective."""
    if isinstance(found, Judged):
        return Tally(found.total, found.bad)
    return Tally(found.total, found.failed if objective.measure == "success" else found.slow)
