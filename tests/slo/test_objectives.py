"""Objectives and the budgets they grant."""

from __future__ import annotations

import math
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmops.slo import Measure, Objective, Tally, budget, default_objectives

LATENCY = Objective(id="latency", name="fast", measure="duration", target=0.99, window_s=30 * 86400.0, threshold_s=3.0)


def test_the_objectives_of_a_fresh_install_are_success_an_end_and_a_first_token_in_time_and_speed() -> None:
    availability, latency, ttft, speed = default_objectives(
        window_s=60.0,
        latency_threshold_s=3.0,
        latency_target=0.99,
        availability_target=0.999,
        ttft_threshold_s=2.0,
        ttft_target=0.95,
    )
    assert (availability.target, availability.measure, availability.threshold_s) == (0.999, "success", None)
    assert (latency.target, latency.measure, latency.threshold_s) == (0.99, "duration", 3.0)
    assert (ttft.target, ttft.measure, ttft.threshold_s) == (0.95, "ttft", 2.0)
    assert (speed.target, speed.measure, speed.threshold_s) == (0.99, "duration_for_length", None)


@pytest.mark.parametrize("target", [0.0, 1.0, -1.0, 2.0])
def test_a_target_that_grants_no_budget_or_asks_for_nothing_is_refused(target: float) -> None:
    with pytest.raises(ValueError, match="between 0 and 1"):
        Objective(id="x", name="x", measure="success", target=target, window_s=1.0)


@pytest.mark.parametrize(
    ("measure", "threshold_s"),
    [("duration", None), ("ttft", None), ("success", 3.0), ("probe", 3.0), ("duration", 0.0), ("ttft", math.inf)],
)
def test_a_threshold_goes_with_durations_and_first_tokens_alone(measure: Measure, threshold_s: float | None) -> None:
    with pytest.raises(ValueError, match="threshold"):
        Objective(id="x", name="x", measure=measure, target=0.9, window_s=1.0, threshold_s=threshold_s)


@pytest.mark.parametrize(("total", "bad"), [(1, 2), (1, -1)])
def test_a_tally_that_cannot_be_is_refused(total: int, bad: int) -> None:
    with pytest.raises(ValueError, match="cannot be"):
        Tally(total, bad)


def test_the_budget_is_a_count_of_failures() -> None:
    spent = budget(LATENCY, Tally(1400, 3))
    assert (spent.used, spent.allowed) == (3, 14)
    assert spent.remaining == pytest.approx(11 / 14)


def test_without_traffic_nothing_is_known_of_the_budget() -> None:
    assert budget(LATENCY, Tally(0, 0)).remaining is None


@given(st.integers(1, 100_000), st.integers(1, 999), st.data())
def test_what_is_allowed_is_exactly_what_keeps_the_target(
    total: int, target_permille: int, data: st.DataObject
) -> None:
    bad = data.draw(st.integers(0, total))
    objective = Objective(id="x", name="x", measure="success", target=target_permille / 1000, window_s=1.0)
    spent = budget(objective, Tally(total, bad))
    is_kept = Fraction(total - bad, total) >= Fraction(target_permille, 1000)
    assert (spent.used <= spent.allowed) == is_kept
    assert spent.remaining is not None
    assert (spent.remaining >= -1e-9) == is_kept
