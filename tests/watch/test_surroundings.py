"""Disk, shipper and self-benchmarks, as a real watch sees them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from llmops.elastic.report import FILE, ShipReport, State, write_report
from llmops.events import BenchmarkEvent
from llmops.store import MemoryStore
from llmops.watching.surroundings import read_shipping, room_of
from tests.store.events import document
from tests.watch.looks import Bench

GIB = 1 << 30


def test_a_disk_that_fills_up_is_told_and_told_again_as_a_page(tmp_path: Path) -> None:
    bench = Bench(tmp_path / "journal", MemoryStore())
    bench.looks(5)
    bench.room = (40 * GIB, 1000 * GIB)
    bench.looks(50)
    assert bench.told() == ["firing disk_space"]
    assert bench.notices[0].reason == "40.0 GiB are free, 4.0% of the disk"
    bench.room = (5 * GIB, 1000 * GIB)
    bench.looks(50)
    assert bench.told() == ["firing disk_space", "firing disk_space.page"]
    assert bench.notices[1].severity == "page"
    assert bench.notices[1].runbook == "docs/runbooks/disk_space.md"
    bench.room = (100 * GIB, 1000 * GIB)
    bench.looks(320)
    assert sorted(bench.told()[2:]) == ["resolved disk_space", "resolved disk_space.page"]
    bench.close()


def test_a_disk_that_cannot_be_looked_at_neither_fires_nor_clears(tmp_path: Path) -> None:
    bench = Bench(tmp_path / "journal", MemoryStore())
    bench.room = (0, 0)
    bench.looks(100)
    assert bench.told() == []
    bench.room = (1, 1000 * GIB)
    bench.looks(50)
    bench.room = (0, 0)
    bench.looks(400)
    assert "resolved" not in " ".join(bench.told())
    bench.close()


def test_the_room_is_that_of_the_file_system(tmp_path: Path) -> None:
    free, total = room_of(tmp_path)
    assert 0 < free < total
    assert room_of(tmp_path / "nowhere") == (0, 0)


def ship(bench: Bench, state: State, problem: str | None = None, *, has_shipped: bool = True) -> None:
    folder = bench.folder.parent / "ship"
    report = ShipReport(started_at=bench.now, at=bench.now, process_id=os.getpid(), state=state, problem=problem)
    write_report(folder / FILE, report)
    if has_shipped:
        (folder / "checkpoint.json").write_text('{"version": 1, "files": {}}')


def keep_on(bench: Bench, seconds: int, state: State, problem: str | None = None) -> None:
    for _ in range(seconds):
        ship(bench, state, problem)
        bench.looks(1)


def test_an_elasticsearch_that_is_away_is_told_until_it_is_back(tmp_path: Path) -> None:
    bench = Bench(tmp_path / "journal", MemoryStore())
    keep_on(bench, 20, "up to date")
    keep_on(bench, 140, "waiting", "nothing listens at http://127.0.0.1:9200")
    assert bench.told() == ["firing elasticsearch_unreachable"]
    assert bench.notices[0].reason == "events wait in the journal: nothing listens at http://127.0.0.1:9200"
    keep_on(bench, 80, "up to date")
    assert bench.told() == ["firing elasticsearch_unreachable", "resolved elasticsearch_unreachable"]
    bench.close()


def test_a_shipper_that_was_killed_is_told_after_five_minutes(tmp_path: Path) -> None:
    bench = Bench(tmp_path / "journal", MemoryStore())
    ship(bench, "up to date")
    bench.looks(300)
    assert bench.told() == []
    bench.looks(45)
    assert bench.told() == ["firing elasticsearch_unreachable"]
    bench.close()


def test_a_machine_that_slept_misses_no_report_of_its_shipper(tmp_path: Path) -> None:
    bench = Bench(tmp_path / "journal", MemoryStore())
    keep_on(bench, 20, "up to date")
    bench.now += 8 * 3600
    bench.looks(3)
    keep_on(bench, 60, "up to date")
    assert bench.told() == []
    bench.close()


def test_a_shipper_that_ended_cleanly_or_never_reached_a_server_is_no_trouble(tmp_path: Path) -> None:
    bench = Bench(tmp_path / "journal", MemoryStore())
    ship(bench, "stopped", "wrong password", has_shipped=False)
    bench.looks(200)
    ship(bench, "stopped")
    bench.looks(1000)
    assert bench.told() == []
    ship(bench, "stopped", "wrong password")
    bench.looks(140)
    assert bench.told() == ["firing elasticsearch_unreachable"]
    bench.close()


@pytest.mark.parametrize("text", ["", "[]", "7", '{"at": "soon", "started_at": 0}', '{"nonsense": 1}', "\x00"])
def test_a_report_that_cannot_be_read_is_none(tmp_path: Path, text: str) -> None:
    (tmp_path / FILE).write_text(text)
    assert read_shipping(tmp_path) is None
    assert read_shipping(tmp_path / "nowhere") is None


def run_benchmark(bench: Bench, **fields: Any) -> None:
    bench.write([document(BenchmarkEvent(at=bench.now, benchmark_id=f"b{bench.now}", **fields))])
    bench.looks(12)


def test_a_slower_self_benchmark_is_told_until_a_run_is_none(tmp_path: Path) -> None:
    bench = Bench(tmp_path / "journal", MemoryStore())
    run_benchmark(bench)
    run_benchmark(bench, regression=False, delta_throughput_pct=1.0, delta_ttft_pct=2.0)
    assert bench.told() == []
    run_benchmark(bench, regression=True, delta_throughput_pct=-31.4, delta_ttft_pct=12.0)
    assert bench.told() == ["firing benchmark_regression"]
    assert bench.notices[0].reason == "output tokens per second -31 %; time to first token +12 %"
    for _ in range(60):
        bench.write([document(BenchmarkEvent(at=bench.now, benchmark_id=f"c{bench.now}", suite="canary"))])
        bench.looks(1)
    run_benchmark(bench, suite="canary", regression=False)
    assert bench.told() == ["firing benchmark_regression"]
    run_benchmark(bench, regression=False)
    assert bench.told() == ["firing benchmark_regression", "resolved benchmark_regression"]
    bench.close()


def test_runs_of_another_suite_are_no_regression(tmp_path: Path) -> None:
    bench = Bench(tmp_path / "journal", MemoryStore())
    run_benchmark(bench, suite="canary", regression=True, delta_throughput_pct=-90.0)
    assert bench.told() == []
    bench.close()
