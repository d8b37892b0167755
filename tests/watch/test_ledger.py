"""Memory of the card that grows beyond what requests need, from a journal of requests to what people are told."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from llmops.store import MemoryStore
from llmops.watching.ledger import AMONG, FEWEST, KEY
from tests.alerts.test_serving import snapshot
from tests.store.events import ORIGIN, request
from tests.watch.looks import Bench

GIB = 1 << 30
OURS = ORIGIN.instance_id


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    bench = Bench(tmp_path / "journal", MemoryStore())
    bench.answer = snapshot(OURS)
    yield bench
    bench.close()


def answered(bench: Bench, count: int, over: float, *, spread: float = 0.0) -> None:
    """So many requests whose measured peak is above the predicted 10 GiB by so many GiB, and `spread` at most more."""
    for number in range(count):
        measured = int((10 + over + spread * (number % 5) / 4) * GIB)
        bench.write([request(bench.now, predicted_peak_bytes=10 * GIB, peak_allocated_bytes=measured)])
    bench.looks(20)


def test_memory_that_is_not_given_back_is_told_once_and_a_new_serve_ends_it(bench: Bench) -> None:
    answered(bench, 50, 0.3, spread=2.0)
    bench.looks(120)
    assert bench.told() == [], "what arithmetic gets wrong is no leak, nor are peaks that differ"
    answered(bench, AMONG, 0.45, spread=2.0)
    bench.looks(120)
    assert bench.told() == [], "1.5 % of the predicted peak"
    answered(bench, AMONG, 0.55, spread=2.0)
    bench.looks(120)
    assert bench.told() == ["firing vram_leak"]
    assert bench.notices[0].reason == "beyond what requests need, serve holds 2.5% more than when it began (limit 2.0%)"
    bench.answer = snapshot("another")
    bench.looks(400)
    assert bench.told() == ["firing vram_leak", "resolved vram_leak"]


def test_a_restart_of_watch_forgets_nothing(bench: Bench) -> None:
    answered(bench, 50, 0.0)
    bench.restart()
    answered(bench, AMONG, 0.3)
    bench.looks(120)
    assert bench.told() == ["firing vram_leak"]


def test_refusals_that_push_the_answers_aside_end_nothing(bench: Bench) -> None:
    answered(bench, 50, 0.0)
    answered(bench, AMONG, 0.3)
    bench.looks(120)
    refused = [
        request(bench.now, outcome="failure", error_type="rate_limited", slo_eligible=False) for _ in range(AMONG)
    ]
    bench.write(refused)
    bench.looks(500)
    bench.restart()
    bench.looks(400)
    assert bench.told() == ["firing vram_leak"]


def test_what_was_kept_and_cannot_be_read_begins_anew(bench: Bench) -> None:
    bench.store.save_state(KEY, {"instance": OURS})
    answered(bench, AMONG, 0.3)
    bench.looks(120)
    assert bench.told() == []


def test_few_requests_or_none_of_a_card_tell_nothing(bench: Bench) -> None:
    answered(bench, FEWEST - 1, 0.0)
    answered(bench, FEWEST - 1, 5.0)
    bench.write([request(bench.now) for _ in range(AMONG)])
    bench.looks(120)
    assert bench.told() == []
