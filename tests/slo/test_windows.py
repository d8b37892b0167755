"""Sliding windows against counting every request anew, and the verdicts that follow from either."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from llmops.slo import Guard, Objective, Tally, judge, windows_needed
from llmops.slo.windows import Ended, History, is_bad

MONTH_S = 30 * 86400.0
OBJECTIVES = (
    Objective(id="availability", measure="success", target=0.999, window_s=MONTH_S),
    Objective(id="latency", measure="duration", target=0.99, window_s=MONTH_S, threshold_s=3.0),
    Objective(id="week", measure="success", target=0.9, window_s=7 * 86400.0),
)
STEP_S = 300.0


@st.composite
def histories(draw: st.DrawFn) -> list[Ended]:
    """Requests in order of their end; many of them on a step, or a whole window before one."""
    gaps = st.sampled_from([0.0, 1.0, 299.0, STEP_S, 3600.0, 86400.0]) | st.floats(0, 90_000)
    durations = st.sampled_from([0.5, 3.0, 3.001, 9.0])
    requests, at = [], 0.0
    for gap, duration_s, failed in draw(st.lists(st.tuples(gaps, durations, st.booleans()), max_size=60)):
        at += gap
        requests.append((at, duration_s, None, failed))
    return requests


def by_hand(requests: list[Ended], objective: Objective, window_s: float, now: float) -> Tally:
    inside = [request for request in requests if now - window_s <= request[0] <= now]
    if objective.measure == "success":
        return Tally(len(inside), sum(failed for *_, failed in inside))
    return Tally(len(inside), sum(duration_s > 3.0 for _, duration_s, *_ in inside))


@settings(deadline=None)
@given(histories(), st.floats(0, 86400.0))
def test_windows_and_verdicts_agree_with_a_count_by_hand_at_every_step(requests: list[Ended], begin: float) -> None:
    history = History(requests, OBJECTIVES)
    assert len(history) == len(requests)
    end = requests[-1][0] if requests else 0.0
    for number in range(40):
        now = begin + (number * STEP_S if number < 20 else end * number / 39)
        for objective, tallies in zip(OBJECTIVES, history.tallies(now), strict=True):
            plain = {window: by_hand(requests, objective, window, now) for window in windows_needed(objective)}
            assert tallies == plain
            assert history.tally(objective, 3600.0, now) == plain[3600.0]
            assert judge(objective, tallies, Guard()) == judge(objective, plain, Guard())


@settings(deadline=None)
@given(histories(), st.floats(0, 5e6))
def test_burn_rates_agree_with_shares_counted_by_hand(requests: list[Ended], now: float) -> None:
    history = History(requests, OBJECTIVES)
    for objective, tallies in zip(OBJECTIVES, history.tallies(now), strict=True):
        for burn in judge(objective, tallies, Guard()).burns:
            for window_s, rate in ((burn.row.long_s, burn.long), (burn.row.short_s, burn.short)):
                inside = [request for request in requests if now - window_s <= request[0] <= now]
                bad = [request for request in inside if is_bad(objective, request)]
                if not inside:
                    assert rate is None
                else:
                    assert rate is not None
                    assert abs(rate * (1 - objective.target) * len(inside) - len(bad)) < 1e-6
