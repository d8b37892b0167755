"""A card that no longer answers while others do."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from llmops.events import SampleEvent
from llmops.store import MemoryStore, open_store
from tests.store.events import document
from tests.watch.looks import Bench
from tests.watch.test_cards import serving


def tick_two(bench: Bench, seconds: int, *, ids: tuple[str, ...] = ("GPU-0", "GPU-1"), **fields: Any) -> None:
    """Looks at which each of these cards has sent a sample each second."""
    for _ in range(seconds):
        bench.write([document(SampleEvent(at=bench.now, device_id=each, device_name="card", **fields)) for each in ids])
        bench.looks(1)


def test_a_card_that_is_lost_beside_another_is_told_until_it_is_back(tmp_path: Path) -> None:
    bench = Bench(tmp_path / "journal", MemoryStore())
    bench.answer = serving()
    tick_two(bench, 30)
    tick_two(bench, 55, ids=("GPU-1",))
    assert bench.told() == []
    tick_two(bench, 15, ids=("GPU-1",))
    assert bench.told() == ["firing gpu_lost"]
    assert bench.notices[0].severity == "ticket"
    assert bench.notices[0].reason == "card (GPU-0) has not answered for 60 s, and others do"
    tick_two(bench, 45)
    assert bench.told() == ["firing gpu_lost", "resolved gpu_lost"]
    bench.close()


def test_a_lost_card_is_remembered_over_a_restart_of_watch_and_forgotten_with_its_serve(tmp_path: Path) -> None:
    bench = Bench(tmp_path / "journal", open_store(tmp_path / "s"))
    bench.answer = serving()
    tick_two(bench, 10)
    bench.watch = bench.build(bench.store)
    tick_two(bench, 75, ids=("GPU-1",))
    assert bench.told() == ["firing gpu_lost"]
    bench.answer = serving("b2")
    for _ in range(100):
        bench.write(
            [document(SampleEvent(at=bench.now, device_id="GPU-1", device_name="card")) | {"service.node.name": "b2"}]
        )
        bench.looks(1)
    assert bench.told() == ["firing gpu_lost", "resolved gpu_lost"]
    bench.close()


def test_a_part_of_a_card_that_is_divided_anew_is_not_lost(tmp_path: Path) -> None:
    bench = Bench(tmp_path / "journal", MemoryStore())
    bench.answer = serving()
    tick_two(bench, 10, ids=("GPU-0", "MIG-7"))
    tick_two(bench, 150, ids=("GPU-0",))
    assert bench.told() == []
    bench.close()


def test_when_all_cards_are_silent_none_of_them_is_lost(tmp_path: Path) -> None:
    bench = Bench(tmp_path / "journal", MemoryStore())
    bench.answer = serving()
    tick_two(bench, 30)
    bench.looks(100)
    assert bench.told() == ["firing gpu_silent"]
    bench.close()
