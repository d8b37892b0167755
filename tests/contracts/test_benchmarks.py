"""Benchmarks of several suites in one record: whoever asks for one finds no other."""

from __future__ import annotations

from typing import Any

from llmops.store import Record
from tests.store.events import benchmark

NOW = 1_700_000_000.0


def test_a_suite_of_benchmarks_is_found_among_many_of_another(record: Record) -> None:
    canaries = [benchmark(NOW + n, f"c{n}", suite="canary", name="probe") for n in range(60)]
    record.record([*canaries[:30], benchmark(NOW + 10, "b1"), benchmark(NOW + 10, "b2"), *canaries[30:]])

    def found(**asked: Any) -> list[str]:
        return [run["llmops.benchmark.id"] for run in record.benchmarks(**asked)]

    assert found() == found(suite="self") == ["b2", "b1"]
    assert found(limit=1) == ["b2"]
    assert found(suite="canary", limit=2) == ["c59", "c58"]
    assert (len(found(suite="canary", limit=99)), len(found(suite=None, limit=99))) == (60, 62)
    assert found(suite="nonsense") == found(suite="\ud800") == []
