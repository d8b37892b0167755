"""Numbers with two limits: one alert for one trouble, however the number swings."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmops.alerts import AlertState, advance
from llmops.alerts.evaluate import is_firing
from llmops.alerts.gauges import LAG, MEMORY, QUEUE, SKEW, TEMPERATURE, Limits, gauge_finding, one

NOW = 1_700_000_000.0
GAUGES = {
    "vram": MEMORY,
    "gpu_temperature": TEMPERATURE,
    "queue_saturated": QUEUE,
    "journal_lag": LAG,
    "clock_skew": SKEW,
}


def live(rule_id: str, limits: Limits, values: list[float | None], every_s: float) -> list[tuple[float, str]]:
    """What changes when the gauge stands at these values, one look after the other."""
    states: dict[str, AlertState] = {}
    happened: list[tuple[float, str]] = []
    for number, value in enumerate(values):
        found = gauge_finding(rule_id, one(value), limits, is_firing=is_firing(states, rule_id))
        states, transitions = advance(states, [found], NOW + number * every_s)
        happened += [(number * every_s, each.action) for each in transitions]
    return happened


@pytest.mark.parametrize(
    ("value", "is_firing", "active"),
    [(0.79, False, False), (0.80, False, True), (0.79, True, True), (0.75, True, True), (0.74, True, False)],
)
def test_it_fires_above_one_limit_and_clears_below_another(value: float, is_firing: bool, active: bool) -> None:
    found = gauge_finding("vram", {"card": value, "other": 0.1}, MEMORY, is_firing=is_firing)
    assert (found.active, found.value, found.for_s, found.keep_s) == (active, value, 120.0, 300.0)
    assert "card" in str(found.reason)


@pytest.mark.parametrize("rule_id", GAUGES)
def test_a_gauge_without_a_value_is_not_known_and_says_so(rule_id: str) -> None:
    found = gauge_finding(rule_id, {}, GAUGES[rule_id], is_firing=True)
    assert (found.active, found.value, found.severity) == (None, None, "ticket")
    assert str(found.reason)
    assert found.reason.text("zh") != str(found.reason)


@pytest.mark.parametrize("rule_id", GAUGES)
def test_every_gauge_has_its_sentences(rule_id: str) -> None:
    limits = GAUGES[rule_id]
    above = gauge_finding(rule_id, {"card": limits.fire}, limits, is_firing=False)
    below = gauge_finding(rule_id, {"card": limits.clear}, limits, is_firing=False)
    assert (above.active, below.active) == (True, False)
    for found in (above, below):
        assert str(found.reason) != found.reason.text("zh")


@pytest.mark.parametrize("rule_id", GAUGES)
def test_a_gauge_fires_after_its_time_and_clears_after_its_time(rule_id: str) -> None:
    limits = GAUGES[rule_id]
    assert limits.clear < limits.fire
    high: list[float | None] = [limits.fire] * 200
    low: list[float | None] = [0.0] * 400
    assert live(rule_id, limits, high + low, 1.0) == [
        (0.0, "pending"),
        (limits.for_s, "firing"),
        (200.0 + limits.keep_s, "resolved"),
    ]


@given(
    rule_id=st.sampled_from(sorted(GAUGES)),
    shares=st.lists(st.none() | st.floats(0.0, 1.0), max_size=200),
    every_s=st.sampled_from([1.0, 10.0, 100.0, 1000.0]),
)
def test_what_swings_between_the_limits_is_one_alert(rule_id: str, shares: list[float | None], every_s: float) -> None:
    limits = GAUGES[rule_id]
    first: list[float | None] = [limits.fire] * (int(limits.for_s / every_s) + 2)
    swings = [None if each is None else limits.clear + each * 2 * (limits.fire - limits.clear) for each in shares]
    actions = [action for _, action in live(rule_id, limits, first + swings, every_s)]
    assert actions == ["pending", "firing"]


@given(st.lists(st.floats(0.0, 0.7999), max_size=200), st.sampled_from([1.0, 1000.0]))
def test_what_never_reaches_the_limit_is_none(values: list[float], every_s: float) -> None:
    assert live("vram", MEMORY, list(values), every_s) == []


@given(st.lists(st.sampled_from([0.74, 0.79, 0.80, 0.81, 0.86]), min_size=1, max_size=400))
def test_memory_around_eighty_per_cent_is_told_at_most_once_in_the_time_that_it_must_stay_clear(
    values: list[float],
) -> None:
    fired = [at for at, action in live("vram", MEMORY, list(values), 60.0) if action == "firing"]
    assert all(later - earlier > MEMORY.keep_s for earlier, later in itertools.pairwise(fired))
