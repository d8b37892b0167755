from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable

from hypothesis import given
from hypothesis import strategies as st

from llmops.engine.pace import Pace, Way, halves


class Steps:
    """Steps that take as long as `cost(rows, way)` says, on a clock of their own."""

    def __init__(self, most: int, cost: Callable[[int, Way], float], *, has_orders: bool = False) -> None:
        self.now = 0.0
        self.cost = cost
        self.pace = Pace(halves(most), lambda way: None, has_orders=has_orders, clock=lambda: self.now)

    def ways(self, rows: int, count: int) -> Counter[Way]:
        used: Counter[Way] = Counter()
        for _ in range(count):
            self.pace.begin(rows)
            used[self.pace.way] += 1
            self.now += self.cost(rows, self.pace.way)
            self.pace.end()
        return used

    def run(self, rows: int, count: int) -> Counter[int]:
        threads: Counter[int] = Counter()
        for way, times in self.ways(rows, count).items():
            threads[way.threads] += times
        return threads


def shared_evenly(rows: int, way: Way) -> float:
    return rows / way.threads


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
    steps = Steps(4, lambda rows, way: 1.0 - 0.002 * way.threads)
    steps.run(1, 40)
    assert steps.run(1, 1000)[1] > 900


def test_each_size_of_step_has_its_own_number() -> None:
    steps = Steps(2, lambda rows, way: 1.0 if rows == 1 else rows / way.threads)
    for _ in range(20):
        steps.run(1, 3)
        steps.run(64, 3)
    assert steps.run(1, 20)[1] >= 17, "but for one look at the other number"
    assert steps.run(64, 20)[2] >= 17


def test_when_a_core_is_taken_the_number_falls_within_a_few_steps_and_rises_again_later() -> None:
    busy = False
    steps = Steps(2, lambda rows, way: 12.0 if busy and way.threads == 2 else rows / way.threads)
    assert steps.run(2, 500)[2] > 450
    busy = True
    assert steps.run(2, 500)[2] < 50
    busy = False
    assert steps.run(2, 1100)[2] > 0
    assert steps.run(2, 200)[2] > 180


def test_looking_around_costs_little_even_where_the_other_number_is_ten_times_slower() -> None:
    steps = Steps(2, lambda rows, way: 10.0 if way.threads == 2 else 1.0)
    steps.run(4, 2000)
    began = steps.now
    steps.run(4, 5000)
    assert (steps.now - began) / 5000 < 1.05


def test_a_step_that_was_interrupted_changes_nothing_for_long() -> None:
    chance = random.Random(7)
    steps = Steps(2, lambda rows, way: rows / way.threads * (50.0 if chance.random() < 0.01 else 1.0))
    steps.run(8, 100)
    assert steps.run(8, 2000)[2] > 1500


@given(st.integers(1, 64), st.booleans(), st.lists(st.tuples(st.integers(1, 300), st.floats(0.0, 1e3)), max_size=80))
def test_whatever_steps_take_the_way_is_one_that_there_is(
    most: int, has_orders: bool, steps: list[tuple[int, float]]
) -> None:
    now = 0.0
    changed_to: list[Way] = []
    pace = Pace(halves(most), changed_to.append, has_orders=has_orders, clock=lambda: now)
    for rows, took_s in steps:
        pace.begin(rows)
        now += took_s
        assert 1 <= pace.way.threads <= most
        assert has_orders or not pace.way.weights_first
        assert pace.way == changed_to[-1]
        pace.end()


def test_a_number_that_was_slow_by_chance_is_found_again() -> None:
    late = True
    steps = Steps(4, lambda rows, way: 90.0 if late and way.threads == 4 else rows / way.threads)
    steps.run(4, 12)
    late = False
    steps.run(4, 400)
    assert steps.run(4, 300)[4] > 250


def test_an_end_without_a_beginning_is_nothing() -> None:
    changed_to: list[Way] = []
    pace = Pace([1], changed_to.append)
    pace.end()
    assert pace.way == Way(1)
    assert changed_to == [Way(1)], "said at once: whoever came before may have left another"


def test_the_quicker_order_is_taken_for_each_size() -> None:
    steps = Steps(
        2, lambda rows, way: rows / way.threads * (2 if way.weights_first == (rows > 8) else 1), has_orders=True
    )
    for rows in (4, 64):
        steps.ways(rows, 40)
    assert steps.ways(4, 1000)[Way(2, weights_first=True)] > 900
    assert steps.ways(64, 1000)[Way(2, weights_first=False)] > 900


def test_one_row_has_no_order() -> None:
    steps = Steps(1, lambda rows, way: 1.0, has_orders=True)
    assert set(steps.ways(1, 500)) == {Way(1)}


def test_with_a_fixed_number_of_threads_the_order_is_still_chosen() -> None:
    steps = Steps(1, lambda rows, way: 1.0 if way.weights_first else 2.0, has_orders=True)
    steps.ways(4, 40)
    assert steps.ways(4, 1000)[Way(1, weights_first=True)] > 950


def test_a_way_that_is_far_slower_is_looked_at_more_seldom_than_one_that_is_nearly_as_quick() -> None:
    steps = Steps(
        2, lambda rows, way: (2.6 if not way.weights_first else 1.0) + (0.2 if way.threads == 1 else 0), has_orders=True
    )
    steps.ways(4, 100)
    began = steps.now
    used = steps.ways(4, 5000)
    assert 0 < used[Way(2, weights_first=False)] < used[Way(1, weights_first=True)] / 3
    assert (steps.now - began) / 5000 < 1.02


def test_a_size_that_comes_seldom_begins_with_the_threads_of_its_neighbour() -> None:
    steps = Steps(2, lambda rows, way: float(way.threads))
    steps.ways(8, 200)
    assert steps.ways(64, 1) == {Way(1): 1}


def test_a_second_thread_that_gains_little_is_left_to_others() -> None:
    steps = Steps(2, lambda rows, way: 1.0 if way.threads == 2 else 1.08)
    steps.ways(8, 200)
    assert steps.ways(8, 1000)[Way(1)] > 850


def test_a_size_that_was_never_compared_follows_its_nearest_once_that_was() -> None:
    now = 0.0
    ways: list[Way] = []
    pace = Pace([2, 1], ways.append, clock=lambda: now)
    for rows in [12] + [64] * 30:  # one thread is twice as quick
        pace.begin(rows)
        now += pace.way.threads
        pace.end()
    pace.begin(12)
    assert pace.way == Way(1)
