"""What is known of the speed of one answer, and how long a request of a given length may take."""

from __future__ import annotations

import pytest

from llmops.events.speed import StreamSpeed
from llmops.inference.speed import BATCH, REMEMBERED_S, LengthLimits, SpeedEstimate


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def learn(estimate: SpeedEstimate, per_s: float, times: int = 1, *, is_alone: bool = True) -> None:
    for _ in range(times):
        estimate.learn(
            read_tokens=100, prefill_s=100 / (10 * per_s), output_tokens=101, decode_s=100 / per_s, is_alone=is_alone
        )


def written(estimate: SpeedEstimate) -> float:
    assert estimate.speed.output_tokens_per_s is not None
    return estimate.speed.output_tokens_per_s


def test_a_limit_grows_with_prompt_and_answer_at_the_measured_speed() -> None:
    estimate = SpeedEstimate(LengthLimits(base_s=3.0, margin=2.0))
    assert estimate.limit_s(10, 10) is None
    estimate.measured(StreamSpeed(output_tokens_per_s=10.0, input_tokens_per_s=100.0))
    assert estimate.limit_s(0, 0) == 3.0
    assert estimate.limit_s(50, 200) == pytest.approx(3.0 + 2.0 * (0.5 + 20.0))


def test_seconds_for_each_token_that_somebody_wrote_take_the_place_of_the_measured_speed() -> None:
    estimate = SpeedEstimate(LengthLimits(base_s=1.0, margin=3.0, per_token_s=0.1))
    assert estimate.limit_s(500, 20) == pytest.approx(3.0)
    estimate.measured(StreamSpeed(output_tokens_per_s=1000.0, input_tokens_per_s=100.0))
    assert estimate.limit_s(100, 20) == pytest.approx(6.0)


def test_a_server_that_gets_slower_is_compared_with_how_it_was_for_a_day() -> None:
    clock = Clock()
    estimate = SpeedEstimate(clock=clock)
    learn(estimate, 14.0, BATCH)
    learn(estimate, 2.0, 5 * BATCH)
    assert written(estimate) == pytest.approx(14.0)
    assert estimate.speed.input_tokens_per_s == pytest.approx(140.0)
    clock.now += REMEMBERED_S
    learn(estimate, 2.0, BATCH)
    assert written(estimate) == pytest.approx(2.0)
    clock.now += 2 * REMEMBERED_S
    estimate.learn(read_tokens=0, prefill_s=0.0, output_tokens=1, decode_s=0.0)
    assert written(estimate) == pytest.approx(2.0), "what is old is better than nothing"


def test_what_the_start_measured_gives_way_to_the_median_of_answers() -> None:
    estimate = SpeedEstimate()
    estimate.measured(StreamSpeed(output_tokens_per_s=30.0, input_tokens_per_s=None))
    learn(estimate, 14.0, 2 * BATCH)
    assert written(estimate) == 30.0
    for _ in range(BATCH // 2):
        learn(estimate, 14.0)
        learn(estimate, 15.0)
    assert written(estimate) == pytest.approx(14.5)


def test_where_nothing_was_measured_the_first_answer_tells_until_one_was_alone() -> None:
    estimate = SpeedEstimate()
    assert not estimate.is_known
    learn(estimate, 5.0, is_alone=False)
    assert estimate.is_known
    assert written(estimate) == pytest.approx(5.0)
    learn(estimate, 14.0)
    learn(estimate, 5.0, 20, is_alone=False)
    assert written(estimate) == pytest.approx(14.0)
