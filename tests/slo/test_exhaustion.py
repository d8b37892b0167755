"""How long a budget lasts."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmops.slo import Guard, Objective, Tally, exhausted_in_s, judge, windows_needed

MONTH_S = 30 * 86400.0
left = st.floats(1e-3, 1.0)
burns = st.floats(1e-3, 1e4)


@given(left, burns, st.floats(60.0, 1e8))
def test_what_is_spent_until_then_is_what_is_left(remaining: float, burn: float, window_s: float) -> None:
    seconds = exhausted_in_s(remaining, burn, window_s)
    assert seconds is not None
    assert seconds / window_s * burn == pytest.approx(remaining)


@given(left, burns, st.floats(1.0, 100.0))
def test_twice_the_pace_halves_it_and_twice_the_budget_doubles_it(remaining: float, burn: float, factor: float) -> None:
    once = exhausted_in_s(remaining, burn, MONTH_S)
    assert once is not None
    assert exhausted_in_s(remaining, burn * factor, MONTH_S) == pytest.approx(once / factor)
    assert exhausted_in_s(remaining * factor, burn, MONTH_S) == pytest.approx(once * factor)


@given(st.floats(-1e6, 0.0), st.none() | burns)
def test_a_budget_that_is_spent_lasts_no_time(remaining: float, burn: float | None) -> None:
    assert exhausted_in_s(remaining, burn, MONTH_S) == 0.0


@given(left, burns)
def test_what_nothing_spends_or_nobody_knows_has_no_end(remaining: float, burn: float) -> None:
    assert exhausted_in_s(remaining, 0.0, MONTH_S) is None
    assert exhausted_in_s(remaining, None, MONTH_S) is None
    assert exhausted_in_s(None, burn, MONTH_S) is None


def test_a_whole_budget_lasts_one_window_at_a_burn_of_one() -> None:
    assert exhausted_in_s(1.0, 1.0, MONTH_S) == MONTH_S
    assert exhausted_in_s(1.0, 14.4, MONTH_S) == pytest.approx(50 * 3600)


def test_a_verdict_tells_it_at_the_pace_of_the_last_hour() -> None:
    objective = Objective(id="a", measure="success", target=0.99, window_s=MONTH_S)
    tallies = {window: Tally(100, 0) for window in windows_needed(objective)}
    tallies |= {3600.0: Tally(100, 10), 6 * 3600.0: Tally(1000, 10), MONTH_S: Tally(10_000, 50)}
    verdict = judge(objective, tallies, Guard())
    assert verdict.exhausted_in_s == pytest.approx(MONTH_S * 0.5 / 10)
    assert verdict.exhausted_at_pace_of_s(verdict.burns[1]) == pytest.approx(MONTH_S * 0.5)
