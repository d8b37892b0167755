"""Old rows go a little at a time, at their own ages, and not before the journal is read."""

from __future__ import annotations

from pathlib import Path

from llmops.settings import StoreSettings
from llmops.store import MemoryStore, open_store
from llmops.watch import ages_s
from llmops.watching.keeping import BUDGET_S, EVERY_S, Keeper
from tests.store.events import request, sample
from tests.watch.looks import Bench

HOUR = 472_222 * 3600.0
DAY_S = 86400.0


def test_everything_that_is_old_goes_and_the_next_look_for_it_is_later() -> None:
    store = MemoryStore()
    store.record([request(HOUR - n * DAY_S) for n in range(40)] + [sample(HOUR - n * DAY_S) for n in range(10)])
    keeper = Keeper(store, ages_s(StoreSettings()), stopwatch=lambda: 0.0)
    assert keeper.keep(HOUR + 1) == 4 + 2
    assert store.totals() == {"llmops.request": 36, "llmops.gpu": 8}
    store.record([request(HOUR - 34 * DAY_S)])
    assert keeper.keep(HOUR + EVERY_S) == 0
    assert keeper.keep(HOUR + 1 + EVERY_S + 2 * DAY_S) == 3 + 2
    assert keeper.keep(HOUR + 2 + EVERY_S + 2 * DAY_S) == 0


def test_a_look_deletes_for_a_moment_only_and_the_next_one_goes_on(tmp_path: Path) -> None:
    store = open_store(tmp_path / "s")
    store.record([request(HOUR) for _ in range(1200)])
    ticks = iter(BUDGET_S * 0.6 * n for n in range(100))
    keeper = Keeper(store, {"requests": DAY_S}, stopwatch=lambda: next(ticks))
    assert [keeper.keep(HOUR + 2 * DAY_S + second) for second in range(4)] == [500, 500, 200, 0]
    assert store.counts(HOUR - 1, HOUR + 3600, slow_s=3.0).total == 1200
    store.close()


def test_watch_counts_an_old_journal_before_it_lets_go_of_its_rows(tmp_path: Path) -> None:
    store = open_store(tmp_path / "s")
    bench = Bench(tmp_path, store)
    bench.write([request(bench.now - 50 * DAY_S + n) for n in range(30)])
    bench.watch = bench.build(store, keeper=Keeper(store, {"requests": 35 * DAY_S}))
    bench.watch.tick()
    assert store.requests(limit=99) == []
    assert store.counts(bench.now - 60 * DAY_S, bench.now, slow_s=3.0).total == 30
    store.close()
