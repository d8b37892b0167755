"""Sliding windows against counting every request anew, and the verdicts that follow from either."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from llmops.slo import Guard, Objective, Tally, judge, windows_needed
from llmops.slo.windows import Ended, History, Probed

MONTH_S = 30 * 86400.0
OBJECTIVES = (
    Objective(id="availability", measure="success", target=0.999, window_s=MONTH_S),
    Objective(id="latency", measure="duration", target=0.99, window_s=MONTH_S, threshold_s=3.0),
    Objective(id="week", measure="success", target=0.9, window_s=7 * 86400.0),
    Objective(id="ttft", measure="ttft", target=0.95, window_s=MONTH_S, threshold_s=2.0),
    Objective(id="speed", measure="duration_for_length", target=0.99, window_s=MONTH_S),
    Objective(id="canary", measure="probe", target=0.99, window_s=MONTH_S),
)
STEP_S = 300.0


@st.composite
def histories(draw: st.DrawFn) -> list[Ended]:
    """Requests in order of their end; many of them on a step, or a whole window before one."""
    gaps = st.sampled_from([0.0, 1.0, 299.0, STEP_S, 3600.0, 86400.0]) | st.floats(0, 90_000)
    durations = st.sampled_from([0.5, 3.0, 3.001, 9.0])
    first_tokens = st.sampled_from([None, 0.5, 2.0, 2.001])
    requests: list[Ended] = []
    at = 0.0
    over_limits = st.sampled_from([None, False, True])
    kinds = st.tuples(gaps, durations, first_tokens, st.booleans(), over_limits)
    for gap, duration_s, ttft_s, failed, over_limit in draw(st.lists(kinds, max_size=60)):
        at += gap
        requests.append((at, duration_s, ttft_s, failed, over_limit))
    return requests


def probes(requests: list[Ended]) -> list[Probed]:
    """As many probes, which fare as the requests do."""
    return [(at, failed) for at, *_, failed, _ in requests]


def values_of(objective: Objective, requests: list[Ended]) -> list[bool]:
    """Of those that the objective judges, whether they are bad."""
    if objective.measure == "ttft":
        return [ttft_s is None or ttft_s > 2.0 for *_, ttft_s, failed, _ in requests if failed or ttft_s is not None]
    if objective.measure == "duration":
        return [duration_s > 3.0 for _, duration_s, *_ in requests]
    if objective.measure == "duration_for_length":
        return [over_limit for *_, over_limit in requests if over_limit is not None]
    return [failed for *_, failed, _ in requests]


def by_hand(requests: list[Ended], objective: Objective, window_s: float, now: float) -> Tally:
    found = values_of(objective, [request for request in requests if now - window_s <= request[0] <= now])
    return Tally(len(found), sum(found))


@settings(deadline=None)
@given(histories(), st.floats(0, 86400.0))
def test_windows_and_verdicts_agree_with_a_count_by_hand_at_every_step(requests: list[Ended], begin: float) -> None:
    history = History(requests, OBJECTIVES, probes=probes(requests))
    end = requests[-1][0] if requests else 0.0
    for number in range(40):
        now = begin + (number * STEP_S if number < 20 else end * number / 39)
        for objective in OBJECTIVES:
            tallies = history.tallies(objective, now)
            plain = {window: by_hand(requests, objective, window, now) for window in windows_needed(objective)}
            assert tallies == plain
            assert history.tally(objective, 3600.0, now) == plain[3600.0]
            assert judge(objective, tallies, Guard()) == judge(objective, plain, Guard())


@settings(deadline=None)
@given(histories(), st.floats(0, 5e6))
def test_burn_rates_agree_with_shares_counted_by_hand(requests: list[Ended], now: float) -> None:
    history = History(requests, OBJECTIVES, probes=probes(requests))
    for objective in OBJECTIVES:
        for burn in judge(objective, history.tallies(objective, now), Guard()).burns:
            for window_s, rate in ((burn.row.long_s, burn.long), (burn.row.short_s, burn.short)):
                found = values_of(objective, [each for each in requests if now - window_s <= each[0] <= now])
                if not found:
                    assert rate is None
                else:
                    assert rate is not None
                    assert abs(rate * (1 - objective.target) * len(found) - sum(found)) < 1e-6
