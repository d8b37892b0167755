"""A store that is lost or fails under a watch: nothing is forgotten, and nothing else goes unseen."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import pytest

from llmops.events.snapshot import ServeSnapshot
from llmops.store import MemoryStore, StoreUnavailable, open_store
from tests.alerts.test_serving import snapshot
from tests.store.events import request
from tests.watch.looks import NOW, Bench


@pytest.mark.parametrize("when", ["between looks", "in the middle of a look"])
def test_a_store_that_is_removed_while_watch_runs_gets_everything_back(tmp_path: Path, when: str) -> None:
    bench = Bench(tmp_path / "journal", open_store(tmp_path / "s"))
    bench.write([request(NOW, outcome="failure", error_type="oom", request_id=f"bad{n}") for n in range(60)])
    bench.looks(3)
    assert bench.told() == ["firing slo.availability.page"]

    def remove() -> None:
        for file in tmp_path.glob("s*"):
            file.unlink()

    def answer() -> ServeSnapshot:  # the record's keeper is the next to ask the store, and it never raises
        if when == "in the middle of a look":
            remove()
        return snapshot()

    if when == "between looks":
        remove()
    bench.watch._probe = answer
    bench.looks(1)
    bench.watch._probe = bench.probe
    bench.looks(2)
    assert len(bench.store.requests(limit=99)) == 60
    assert "slo.availability.page" in str(bench.store.load_state("alerts"))
    assert bench.store.load_state("serve.instance") == snapshot().instance_id
    assert bench.store.load_state("record.lost") is not None
    assert bench.told() == ["firing slo.availability.page"]
    bench.close()


class BrokenStore(MemoryStore):
    """Fails where the test says."""

    def __init__(self) -> None:
        super().__init__()
        self.broken: set[str] = set()

    def _check(self, what: str) -> None:
        if what in self.broken:
            raise sqlite3.OperationalError("database or disk is full")

    def record(self, *args: Any) -> int:
        self._check("record")
        return super().record(*args)

    def counts(self, since: float, until: float, *, slow_s: float) -> Any:
        self._check("counts")
        return super().counts(since, until, slow_s=slow_s)

    def save_state(self, key: str, value: Any) -> None:
        self._check("save_state")
        super().save_state(key, value)


@pytest.mark.parametrize("broken", ["record", "counts", "save_state"])
def test_a_store_that_fails_does_not_hide_a_dead_serve(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, broken: str
) -> None:
    store = BrokenStore()
    bench = Bench(tmp_path / "journal", store)
    bench.looks(1)
    store.broken = {broken}
    bench.write([request(NOW)])
    bench.serve_is_gone()
    bench.looks(10)
    assert bench.told() == ["firing serve_down"]
    assert caplog.text.count("database or disk is full") < 10
    store.broken = set()
    bench.looks(1)
    assert store.load_state("alerts")
    bench.close()


def test_an_alert_of_an_objective_outlives_a_store_that_cannot_count(tmp_path: Path) -> None:
    store = BrokenStore()
    bench = Bench(tmp_path / "journal", store)
    bench.write([request(NOW, outcome="failure", error_type="oom") for _ in range(100)])
    bench.looks(2)
    store.broken = {"counts"}
    bench.looks(200)
    assert bench.told() == ["firing slo.availability.page"]
    bench.close()


class AwayStore(MemoryStore):
    """One that the disk keeps away for a while."""

    is_away = True

    def load_state(self, key: str) -> Any:
        if self.is_away:
            raise StoreUnavailable("The record cannot be used now (disk I/O error).", "disk I/O error")
        return super().load_state(key)


def test_a_store_that_is_away_at_the_start_does_not_hide_a_dead_serve_and_gives_back_what_was_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    store = AwayStore()
    store.is_away = False
    first = Bench(tmp_path / "journal", store)
    first.room = (0, 1000 << 30)
    first.looks(40)
    assert first.told() == ["firing disk_space.page"]
    store.is_away = True
    bench = Bench(tmp_path / "journal", store, name="again")
    bench.room = (0, 1000 << 30)
    bench.now = first.now
    bench.serve_is_gone()
    bench.looks(10)
    assert bench.told() == ["firing serve_down"]
    store.is_away = False
    bench.looks(60)
    assert bench.told() == ["firing serve_down"], "what was told before it was away is not told again"
    assert {"serve_down", "disk_space.page"} <= {
        state["finding"]["rule_id"] for state in store.load_state("alerts").values()
    }
    assert "Traceback" not in caplog.text
    bench.room = (900 << 30, 1000 << 30)
    bench.answer = snapshot()
    bench.looks(400)
    assert sorted(bench.told()[1:]) == ["resolved disk_space.page", "resolved serve_down"]
    bench.close()
