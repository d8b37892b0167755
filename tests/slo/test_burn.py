"""Burn rates against the plainest possible reading of the table."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from llmops.slo import BURN_ROWS, Guard, Objective, Tally, burn_rate, judge, window_name, windows_needed
from llmops.slo.burn import burns

OBJECTIVE = Objective(id="availability", name="ok", measure="success", target=0.999, window_s=30 * 86400.0)
WINDOWS = windows_needed(OBJECTIVE)
GUARD = Guard(min_bad=3, min_total=50)


@st.composite
def histories(draw: st.DrawFn) -> dict[float, Tally]:
    """Tallies as a history makes them: a longer window holds all that a shorter one holds."""
    total = bad = 0
    tallies = {}
    for window in WINDOWS:
        more = draw(st.integers(0, 500))
        total += more
        bad += draw(st.integers(0, min(more, 40)))
        tallies[window] = Tally(total, bad)
    return tallies


def test_the_windows_are_those_of_the_table_and_the_objective() -> None:
    assert [window_name(window) for window in WINDOWS] == ["5m", "30m", "1h", "2h", "6h", "1d", "3d", "30d"]
    assert [window_name(window) for window in (90.0, 0.5, 7200.0)] == ["90s", "0.5s", "2h"]


def test_a_burn_of_one_spends_the_budget_exactly() -> None:
    assert burn_rate(Tally(1000, 1), 0.999) is not None
    assert abs((burn_rate(Tally(1000, 1), 0.999) or 0.0) - 1.0) < 1e-9
    assert burn_rate(Tally(0, 0), 0.999) is None


@given(histories())
def test_rows_agree_with_a_plain_reading_of_the_table(tallies: dict[float, Tally]) -> None:
    for burn in burns(tallies, OBJECTIVE.target, GUARD):
        long, short = tallies[burn.row.long_s], tallies[burn.row.short_s]
        if short.total == 0:
            settled = long.total > 0 and (long.bad / long.total) / (1 - OBJECTIVE.target) <= burn.row.threshold
            assert burn.exceeded is (False if settled else None)
            continue
        fast = all((each.bad / each.total) / (1 - OBJECTIVE.target) > burn.row.threshold for each in (long, short))
        assert burn.exceeded is fast
        enough = (long.bad >= 3 and long.total >= 50) or (short.bad >= 3 and short.bad >= short.total / 2)
        assert burn.severity == ("page" if burn.row.severity == "page" and enough else "ticket")


@given(histories())
def test_a_verdict_agrees_with_counting_by_hand(tallies: dict[float, Tally]) -> None:
    verdict = judge(OBJECTIVE, tallies, GUARD)
    whole = tallies[OBJECTIVE.window_s]
    rows = [burn for burn in verdict.burns if burn.exceeded]
    if whole.total == 0:
        assert (verdict.state, verdict.good_ratio) == ("no_data", None)
    elif whole.bad > whole.total / 1000:
        assert verdict.state == "breached"
    else:
        assert verdict.state == ("at_risk" if rows else "ok")
    assert (verdict.exceeded("page") is True) == any(burn.severity == "page" for burn in rows)
    assert (verdict.exceeded("ticket") is True) == any(burn.severity == "ticket" for burn in rows)
    for severity in ("page", "ticket"):
        fastest = verdict.fastest(severity)
        assert fastest in verdict.burns
        if verdict.exceeded(severity):
            assert fastest.exceeded


def flat(total: int, bad: int) -> dict[float, Tally]:
    return {window: Tally(total, bad) for window in WINDOWS}


def test_one_failure_among_few_requests_wakes_nobody_up() -> None:
    verdict = judge(OBJECTIVE, flat(20, 1), GUARD)
    assert verdict.exceeded("page") is False
    assert verdict.exceeded("ticket") is True


def test_many_failures_among_many_requests_do() -> None:
    verdict = judge(OBJECTIVE, flat(1000, 100), GUARD)
    assert verdict.exceeded("page") is True
    assert verdict.fastest("page").row is BURN_ROWS[1]


def test_no_traffic_is_no_data_and_never_all_good() -> None:
    verdict = judge(OBJECTIVE, flat(0, 0), GUARD)
    assert (verdict.state, verdict.good_ratio, verdict.budget.remaining) == ("no_data", None, None)
    assert verdict.exceeded("page") is None
    assert verdict.exceeded("ticket") is None


def test_good_traffic_is_ok() -> None:
    verdict = judge(OBJECTIVE, flat(1000, 0), GUARD)
    assert (verdict.state, verdict.good_ratio, verdict.exceeded("page")) == ("ok", 1.0, False)


def test_a_budget_that_lasts_but_burns_is_at_risk() -> None:
    tallies = flat(100, 50) | {OBJECTIVE.window_s: Tally(1_000_000, 50)}
    assert judge(OBJECTIVE, tallies, GUARD).state == "at_risk"
