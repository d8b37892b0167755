"""Cards that are slowed down, have errors, or fall silent."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmops.alerts import AlertState, advance
from llmops.alerts.cards import ErrorCount, counted, errors_finding, silent_finding, throttled_finding

NOW = 1_700_000_000.0


@pytest.mark.parametrize("why", ["hw_slowdown", "hw_thermal", "hw_power_brake", "sw_thermal"])
def test_a_card_that_is_slowed_down_most_of_a_minute_is_told_with_the_reason(why: str) -> None:
    found = throttled_finding({"a": [()] * 60, "b": [(why,)] * 40 + [()] * 20}, is_firing=False)
    assert (found.active, found.severity, found.for_s) == (True, "ticket", 300.0)
    assert str(found.reason) == f"b was slowed down for 67% of the last minute: {why}"


def test_several_reasons_are_told_the_worst_first() -> None:
    found = throttled_finding({"a": [("sw_thermal",), ("sw_thermal", "hw_thermal", "invented")]}, is_firing=False)
    assert str(found.reason).endswith(": hw_thermal, sw_thermal")


@pytest.mark.parametrize("why", [(), ("sw_power_cap",), ("idle",), ("invented",)])
def test_a_power_cap_or_an_idle_card_is_none(why: tuple[str, ...]) -> None:
    found = throttled_finding({"a": [why] * 60}, is_firing=False)
    assert found.active is False
    assert str(found.reason) == "a was slowed down for 0% of the last minute"


def test_a_card_that_is_slowed_down_on_and_off_stays_told() -> None:
    now_and_then = {"a": [("hw_thermal",)] * 12 + [()] * 48}
    assert throttled_finding(now_and_then, is_firing=True).active
    assert not throttled_finding(now_and_then, is_firing=False).active
    assert not throttled_finding({"a": [("hw_thermal",)] * 5 + [()] * 55}, is_firing=True).active


def test_without_samples_it_is_not_known_whether_a_card_is_slowed_down() -> None:
    assert throttled_finding({}, is_firing=True).active is None
    assert throttled_finding({"a": []}, is_firing=True).active is None


def ecc(count: int, card: str = "GPU-0") -> ErrorCount:
    return ErrorCount(device_id=card, device=f"card {card}", kind="ecc", count=count)


def test_an_error_is_told_once_and_over_after_an_hour_without_a_further_one() -> None:
    states: dict[str, AlertState] = {}
    known: dict[str, int] = {}
    happened = []
    for second in range(0, 6000, 5):
        counts = [ecc(0 if second < 50 else 2 if second < 500 else 3)]
        found = errors_finding(known, counts)
        known = counted(known, counts)
        states, transitions = advance(states, [found], NOW + second)
        happened += [(second, each.action, str(each.finding.reason)) for each in transitions]
    assert happened == [
        (50, "pending", "card GPU-0: 2 more uncorrected ECC errors"),
        (50, "firing", "card GPU-0: 2 more uncorrected ECC errors"),
        (4105, "resolved", "no further error was counted"),
    ]


def test_what_a_card_counted_before_anybody_looked_is_no_news() -> None:
    found = errors_finding({}, [ecc(7)])
    assert (found.active, found.value, found.severity) == (False, 0.0, "page")


def test_a_counter_that_began_anew_counts_from_zero() -> None:
    known = counted({}, [ecc(7)])
    assert errors_finding(known, [ecc(0)]).active is False
    assert errors_finding(known, [ecc(2)]).value == 2.0


def test_each_card_is_told_and_one_that_cannot_be_read_is_remembered() -> None:
    known = counted({}, [ecc(1), ecc(5, "GPU-1")])
    found = errors_finding(known, [ecc(2), ecc(6, "GPU-1")])
    assert str(found.reason) == ("card GPU-0: 1 more uncorrected ECC errors; card GPU-1: 1 more uncorrected ECC errors")
    assert counted(known, [ecc(2)]) == {"ecc/GPU-0": 2, "ecc/GPU-1": 5}
    assert errors_finding(known, []).active is None


@given(st.lists(st.integers(0, 5), max_size=50))
def test_no_error_is_counted_twice_and_none_is_missed(steps: list[int]) -> None:
    known, total, told = counted({}, [ecc(0)]), 0, 0.0
    for step in steps:
        total += step
        told += errors_finding(known, [ecc(total)]).value or 0.0
        known = counted(known, [ecc(total)])
    assert told == total


@pytest.mark.parametrize(
    ("silent_s", "is_expected", "active"),
    [(None, True, None), (59.0, True, False), (60.0, True, True), (1e6, False, False), (None, False, None)],
)
def test_a_silence_is_one_only_where_samples_are_expected(
    silent_s: float | None, is_expected: bool, active: bool | None
) -> None:
    found = silent_finding(silent_s, is_expected=is_expected)
    assert found.active is active
    assert str(found.reason)


def test_a_card_that_is_sampled_seldom_is_silent_later() -> None:
    assert not silent_finding(200.0, 300.0).active
    assert str(silent_finding(301.0, 300.0).reason) == "serve answers, but no sample of a GPU has come for 301 s"
