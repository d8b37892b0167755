"""Old rows go a little at a time, at their own ages, and not before the journal is read."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from llmops.settings import StoreSettings
from llmops.store import MemoryStore, Store, open_store
from llmops.watch import ages_s
from llmops.watching.keeping import BUDGET_S, EVERY_S, FASTEST, Keeper
from tests.contracts.records import STORES
from tests.store.events import alert, request, sample
from tests.watch.looks import Bench

HOUR = 472_222 * 3600.0
DAY_S = 86400.0


@pytest.fixture(params=STORES)
def store(request: pytest.FixtureRequest) -> Iterator[Store]:
    made = STORES[request.param](request)
    yield made
    made.close()


class Stopwatch:
    """Seconds in the hand of the test."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_everything_that_is_old_goes_and_the_next_look_for_it_is_later() -> None:
    store, stopwatch = MemoryStore(), Stopwatch()
    store.record([request(HOUR - n * DAY_S) for n in range(40)] + [sample(HOUR - n * DAY_S) for n in range(10)])
    keeper = Keeper(store, ages_s(StoreSettings()), stopwatch=stopwatch)
    assert keeper.keep(HOUR + 1) == 4 + 2
    assert store.totals() == {"llmops.request": 36, "llmops.gpu": 8}
    store.record([request(HOUR - 34 * DAY_S)])
    assert keeper.keep(HOUR + EVERY_S) == 0
    stopwatch.now = 2 * DAY_S
    assert keeper.keep(HOUR + 1 + EVERY_S + 2 * DAY_S) == 3 + 2, "nothing new came, and two days have passed"
    assert keeper.keep(HOUR + 2 + EVERY_S + 2 * DAY_S) == 0


def test_a_look_deletes_for_a_moment_only_and_the_next_one_goes_on(tmp_path: Path) -> None:
    store = open_store(tmp_path / "s")
    store.record([*(request(HOUR) for _ in range(1200)), request(HOUR + 2 * DAY_S - 1)])
    ticks = iter(BUDGET_S * 0.6 * n for n in range(100))
    keeper = Keeper(store, {"requests": DAY_S}, stopwatch=lambda: next(ticks))
    assert [keeper.keep(HOUR + 2 * DAY_S + second) for second in range(4)] == [500, 500, 200, 0]
    assert store.counts(HOUR - 1, HOUR + 3600, slow_s=3.0).total == 1200
    store.close()


def test_a_clock_that_is_far_ahead_at_one_look_ages_nothing(store: Store) -> None:
    store.record([request(HOUR - n * DAY_S) for n in range(40)] + [sample(HOUR), alert(HOUR)])
    keeper = Keeper(store, ages_s(StoreSettings()))
    assert keeper.keep(HOUR + 70 * 365 * DAY_S) == 4
    assert store.record([request(HOUR + 60), sample(HOUR + 60), alert(HOUR + 60)]) == 3


def test_after_the_clock_stepped_back_what_is_old_goes_as_ever(store: Store) -> None:
    store.record([request(HOUR - n * DAY_S) for n in range(34)])
    stopwatch = Stopwatch()
    keeper = Keeper(store, {"requests": 35 * DAY_S}, stopwatch=stopwatch)
    assert keeper.keep(HOUR + 70 * 365 * DAY_S) == 0
    stopwatch.now = 4 * DAY_S
    assert keeper.keep(HOUR + 4 * DAY_S) == 2


def test_requests_that_were_recorded_under_a_wrong_clock_cost_the_oldest_hours_only(store: Store) -> None:
    store.record([request(HOUR - n * 3600) for n in range(48)])
    stopwatch = Stopwatch()
    keeper = Keeper(store, {"requests": DAY_S}, stopwatch=stopwatch)
    assert keeper.keep(HOUR + 1) == 23
    stopwatch.now = 1800.0
    ahead = HOUR + 70 * 365 * DAY_S
    store.record([request(ahead)])
    assert keeper.keep(ahead + 1) == FASTEST / 2
    assert store.record([request(HOUR + 1800)]) == 1


def test_before_the_first_request_nothing_goes() -> None:
    store = MemoryStore()
    store.record([sample(HOUR)])
    assert Keeper(store, ages_s(StoreSettings())).keep(HOUR + 99 * DAY_S) == 0


def test_watch_counts_an_old_journal_before_it_lets_go_of_its_rows(tmp_path: Path) -> None:
    store = open_store(tmp_path / "s")
    bench = Bench(tmp_path, store)
    bench.write([*(request(bench.now - 50 * DAY_S + n) for n in range(30)), request(bench.now - 1, request_id="young")])
    bench.watch = bench.build(store, keeper=Keeper(store, {"requests": 35 * DAY_S}))
    bench.watch.tick()
    assert [row.request_id for row in store.requests(limit=99)] == ["young"]
    assert store.counts(bench.now - 60 * DAY_S, bench.now, slow_s=3.0).total == 31
    store.close()
