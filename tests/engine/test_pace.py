from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmops.engine.pace import Pace


class Steps:
    """Steps that take as long as `cost(rows, threads)` says, on a clock of their own."""

    def __init__(self, most: int, cost: Callable[[int, int], float]) -> None:
        self.now = 0.0
        self.cost = cost
        self.changes = 0
        self.pace = Pace(most, self._changed, clock=lambda: self.now)

    def _changed(self, threads: int) -> None:
        self.changes += 1

    def run(self, rows: int, count: int) -> Counter[int]:
        used: Counter[int] = Counter()
        for _ in range(count):
            self.pace.begin(rows)
            used[self.pace.threads] += 1
            self.now += self.cost(rows, self.pace.threads)
            self.pace.end()
        return used


def shared_evenly(rows: int, threads: int) -> float:
    return rows / threads


def test_more_threads_are_taken_where_they_pay() -> None:
    steps = Steps(8, shared_evenly)
    steps.run(16, 40)
    used = steps.run(16, 1000)
    assert used[8] > 900


def test_numbers_far_from_the_best_are_never_tried() -> None:
    steps = Steps(64, shared_evenly)
    used = steps.run(256, 3000)
    assert set(used) == {64, 32}


def test_one_thread_is_taken_where_more_gain_next_to_nothing() -> None:
    steps = Steps(4, lambda rows, threads: 1.0 - 0.002 * threads)
    steps.run(1, 40)
    assert steps.run(1, 1000)[1] > 900


def test_each_size_of_step_has_its_own_number() -> None:
    steps = Steps(2, lambda rows, threads: 1.0 if rows == 1 else rows / threads)
    for _ in range(20):
        steps.run(1, 3)
        steps.run(64, 3)
    assert steps.run(1, 20)[1] >= 17, "but for one look at the other number"
    assert steps.run(64, 20)[2] >= 17


def test_when_a_core_is_taken_the_number_falls_within_a_few_steps_and_rises_again_later() -> None:
    busy = False
    steps = Steps(2, lambda rows, threads: 12.0 if busy and threads == 2 else rows / threads)
    assert steps.run(2, 500)[2] > 450
    busy = True
    assert steps.run(2, 500)[2] < 50
    busy = False
    assert steps.run(2, 1100)[2] > 0
    assert steps.run(2, 200)[2] > 180


def test_looking_around_costs_little_even_where_the_other_number_is_ten_times_slower() -> None:
    steps = Steps(2, lambda rows, threads: 10.0 if threads == 2 else 1.0)
    steps.run(4, 2000)
    began = steps.now
    steps.run(4, 5000)
    assert (steps.now - began) / 5000 < 1.05


def test_a_step_that_was_interrupted_changes_nothing_for_long() -> None:
    chance = random.Random(7)
    steps = Steps(2, lambda rows, threads: rows / threads * (50.0 if chance.random() < 0.01 else 1.0))
    steps.run(8, 100)
    assert steps.run(8, 2000)[2] > 1500


@given(st.integers(1, 64), st.lists(st.tuples(st.integers(1, 300), st.floats(0.0, 1e3)), max_size=80))
def test_whatever_steps_take_the_number_is_one_that_there_is(most: int, steps: list[tuple[int, float]]) -> None:
    now = 0.0
    changed_to = [most]
    pace = Pace(most, changed_to.append, clock=lambda: now)
    for rows, took_s in steps:
        pace.begin(rows)
        now += took_s
        assert 1 <= pace.threads <= most
        assert pace.threads == changed_to[-1]
        pace.end()


def test_a_number_that_was_slow_by_chance_is_found_again() -> None:
    late = True
    steps = Steps(4, lambda rows, threads: 90.0 if late and threads == 4 else rows / threads)
    steps.run(4, 12)
    late = False
    steps.run(4, 400)
    assert steps.run(4, 300)[4] > 250


def test_an_end_without_a_beginning_is_nothing() -> None:
    pace = Pace(1, lambda threads: pytest.fail(f"changed to {threads}"))
    pace.end()
    assert pace.threads == 1
