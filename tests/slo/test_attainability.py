"""Objectives that no server of this speed meets, and what could be promised instead."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmops.events.speed import StreamSpeed
from llmops.slo import Guard, Length, Objective, Tally, judge, unattainable, windows_needed

SLOW = StreamSpeed(output_tokens_per_s=14.0, input_tokens_per_s=200.0)
LATENCY = Objective(id="latency", measure="duration", target=0.99, window_s=30 * 86400.0, threshold_s=3.0)
TTFT = Objective(id="ttft", measure="ttft", target=0.95, window_s=30 * 86400.0, threshold_s=2.0)


def test_long_answers_of_a_slow_machine_cannot_be_fast() -> None:
    found = unattainable(LATENCY, SLOW, [Length(20, 194)] * 90 + [Length(20, 10)] * 10)
    assert found is not None
    assert (found.requests, found.too_long, found.share) == (100, 90, 0.9)
    assert (found.typical, found.per_s) == (Length(20, 194), 14.0)
    assert found.takes_s == pytest.approx(0.1 + 194 / 14)
    assert found.suggested_s == 28.0


@pytest.mark.parametrize("too_long", [0, 1])
def test_as_many_long_answers_as_the_target_grants_leave_it_attainable(too_long: int) -> None:
    assert unattainable(LATENCY, SLOW, [Length(20, 194)] * too_long + [Length(20, 10)] * (100 - too_long)) is None


def test_what_was_quick_enough_could_be_quick_enough() -> None:
    assert unattainable(LATENCY, SLOW, [Length(20, 194, took_s=2.9)] * 100) is None
    assert unattainable(TTFT, SLOW, [Length(4000, 10, first_token_s=0.1)] * 100) is None


def test_long_prompts_of_a_slow_machine_have_late_first_tokens() -> None:
    found = unattainable(TTFT, SLOW, [Length(4000, 10)] * 10)
    assert found is not None
    assert (found.takes_s, found.per_s, found.suggested_s) == (20.0, 200.0, 40.0)
    assert unattainable(TTFT, SLOW, [Length(300, 900)] * 10) is None


def test_before_there_are_requests_the_longest_answer_is_looked_at() -> None:
    found = unattainable(LATENCY, SLOW, [], longest=512)
    assert found is not None
    assert (found.requests, found.share, found.typical.output_tokens) == (0, 1.0, 512)
    assert unattainable(LATENCY, SLOW, [], longest=20) is None
    assert unattainable(LATENCY, SLOW, []) is None


def test_without_a_speed_or_a_threshold_nothing_is_said() -> None:
    lengths = [Length(20, 194)]
    assert unattainable(LATENCY, StreamSpeed(), lengths) is None
    assert unattainable(TTFT, StreamSpeed(14.0), lengths) is None
    success = Objective(id="a", measure="success", target=0.99, window_s=30 * 86400.0)
    assert unattainable(success, SLOW, lengths) is None


@given(st.lists(st.tuples(st.integers(0, 10_000), st.integers(1, 5_000)), min_size=1, max_size=50))
def test_the_suggested_threshold_is_attainable(pairs: list[tuple[int, int]]) -> None:
    lengths = [Length(*pair) for pair in pairs]
    found = unattainable(LATENCY, SLOW, lengths)
    if found is not None:
        wider = Objective(id="l", measure="duration", target=0.99, window_s=30 * 86400.0, threshold_s=found.suggested_s)
        assert unattainable(wider, SLOW, lengths) is None


@pytest.mark.parametrize(("is_explicit", "state"), [(True, "breached"), (False, "unattainable")])
def test_a_default_that_cannot_be_met_is_not_judged_and_one_that_was_written_is(is_explicit: bool, state: str) -> None:
    objective = Objective(
        id="latency", measure="duration", target=0.99, window_s=30 * 86400.0, threshold_s=3.0, is_explicit=is_explicit
    )
    why = unattainable(objective, SLOW, [Length(20, 194)])
    verdict = judge(objective, dict.fromkeys(windows_needed(objective), Tally(100, 90)), Guard(), why)
    assert (verdict.state, verdict.is_muted, verdict.unattainable) == (state, not is_explicit, why)
