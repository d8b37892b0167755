"""The rules of the cards, from a journal of samples to what people are told."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from llmops.events import SampleEvent
from llmops.events.snapshot import DeviceSnapshot, ServeSnapshot
from llmops.store import MemoryStore, open_store
from llmops.watching.cards import KEY, VramSource
from llmops.watching.samples import Samples, labels
from tests.alerts.test_serving import snapshot
from tests.store.events import document
from tests.watch.looks import NOW, Bench, with_memory

CARD = DeviceSnapshot(id="GPU-0", name="card", type="gpu", memory_used_bytes=1, memory_limit_bytes=100)


def serving(instance_id: str = "a1", **fields: Any) -> ServeSnapshot:
    """A serve with one card; `a1` is who writes the samples of `tick`."""
    return dataclasses.replace(snapshot(instance_id), devices=(CARD,), **fields)


def tick(bench: Bench, seconds: int, **fields: Any) -> None:
    """Looks at which a sample has arrived each second."""
    for _ in range(seconds):
        card: dict[str, Any] = {"device_id": "GPU-0", "device_name": "card", "memory_limit_bytes": 100} | fields
        bench.write([document(SampleEvent(at=bench.now, **card))])
        bench.looks(1)


def hot(celsius: float) -> ServeSnapshot:
    cards = (dataclasses.replace(CARD, temperature_c=40.0), dataclasses.replace(CARD, id="1", temperature_c=celsius))
    return dataclasses.replace(snapshot(), devices=cards)


def test_the_hottest_card_is_told_after_two_minutes_and_over_when_it_has_cooled(tmp_path: Path) -> None:
    bench = Bench(tmp_path / "journal", MemoryStore())
    bench.answer = hot(88.0)
    bench.looks(122)
    assert bench.told() == ["firing gpu_temperature"]
    assert bench.notices[0].reason == "card (1) is at 88 °C (limit 87 °C)"
    bench.answer = hot(83.0)
    bench.looks(400)
    assert bench.told() == ["firing gpu_temperature"]
    bench.answer = hot(70.0)
    bench.looks(302)
    assert bench.told() == ["firing gpu_temperature", "resolved gpu_temperature"]
    bench.close()


@pytest.mark.parametrize(
    ("source", "fires"), [("nvml_used", False), ("torch_reserved", True), ("torch_allocated", False)]
)
def test_what_counts_as_used_memory_can_be_chosen(tmp_path: Path, source: VramSource, fires: bool) -> None:
    bench = Bench(tmp_path / "journal", MemoryStore())
    bench.vram_source = source
    bench.watch = bench.build(bench.store)
    bench.answer = with_memory(0.5)
    tick(bench, 130, torch_reserved_bytes=90, torch_allocated_bytes=60)
    assert bench.told() == (["firing vram"] if fires else [])
    bench.close()


def test_a_source_that_tells_nothing_neither_fires_nor_clears(tmp_path: Path) -> None:
    bench = Bench(tmp_path / "journal", MemoryStore())
    bench.vram_source = "torch_reserved"
    bench.watch = bench.build(bench.store)
    tick(bench, 130, torch_reserved_bytes=90)
    tick(bench, 400)
    assert bench.told() == ["firing vram"]
    bench.close()


def test_a_card_that_is_too_warm_to_work_is_told_after_five_minutes(tmp_path: Path) -> None:
    bench = Bench(tmp_path / "journal", MemoryStore())
    tick(bench, 320, throttle_reasons=("sw_power_cap",))
    assert bench.told() == []
    tick(bench, 310, throttle_reasons=("sw_power_cap", "hw_thermal"))
    assert bench.told() == []
    tick(bench, 40, throttle_reasons=("hw_thermal",))
    assert bench.told() == ["firing gpu_throttled"]
    assert "hw_thermal" in bench.notices[0].reason
    tick(bench, 370)
    assert bench.told() == ["firing gpu_throttled", "resolved gpu_throttled"]
    bench.close()


def test_an_uncorrected_error_is_a_page_once_over_a_restart_of_watch(tmp_path: Path) -> None:
    bench = Bench(tmp_path / "journal", open_store(tmp_path / "s"))
    tick(bench, 10, ecc_uncorrected=3, ecc_corrected=5)
    tick(bench, 10, ecc_uncorrected=3, ecc_corrected=900)
    assert bench.told() == []
    tick(bench, 10, ecc_uncorrected=4)
    assert bench.told() == ["firing gpu_errors"]
    assert bench.notices[0].severity == "page"
    assert bench.notices[0].reason == "card: 1 more uncorrected ECC errors"
    bench.watch = bench.build(bench.store)
    for _ in range(370):
        tick(bench, 1, ecc_uncorrected=4)
        bench.now += 9.0
    assert bench.told() == ["firing gpu_errors", "resolved gpu_errors"]
    bench.close()


def test_an_error_that_the_driver_reports_is_a_page_that_names_it(tmp_path: Path) -> None:
    bench = Bench(tmp_path / "journal", MemoryStore())
    tick(bench, 10, xid_count=0, ecc_uncorrected=0)
    assert bench.told() == []
    tick(bench, 10, xid_count=1, xid_last=79, ecc_uncorrected=0)
    assert bench.told() == ["firing gpu_errors"]
    assert bench.notices[0].severity == "page"
    assert bench.notices[0].reason == "card: 1 more errors that its driver reports, the last is Xid 79"
    bench.close()


def test_an_error_while_watch_was_away_is_told_when_it_is_back(tmp_path: Path) -> None:
    bench = Bench(tmp_path / "journal", open_store(tmp_path / "s"))
    tick(bench, 6, ecc_uncorrected=0)
    bench.watch = bench.build(bench.store)
    bench.now += 3600
    tick(bench, 1, ecc_uncorrected=2)
    assert bench.told() == ["firing gpu_errors"]
    bench.close()


def test_a_card_that_falls_silent_is_told_until_it_speaks_again(tmp_path: Path) -> None:
    bench = Bench(tmp_path / "journal", MemoryStore())
    bench.answer = serving()
    tick(bench, 100)
    bench.answer = dataclasses.replace(snapshot("a1"), devices=())  # its driver went away
    bench.looks(65)
    assert bench.told() == []
    bench.looks(10)
    assert bench.told() == ["firing gpu_silent"]
    assert bench.notices[0].reason.startswith("serve answers, but no sample of a GPU has come for 7")
    tick(bench, 40)
    assert bench.told() == ["firing gpu_silent", "resolved gpu_silent"]
    bench.close()


def test_a_silence_goes_on_over_a_restart_of_watch(tmp_path: Path) -> None:
    bench = Bench(tmp_path / "journal", open_store(tmp_path / "s"))
    bench.answer = serving()
    tick(bench, 10)
    bench.looks(65)
    bench.watch = bench.build(bench.store)
    bench.looks(300)
    assert bench.told() == ["firing gpu_silent"]
    bench.close()


def _never_heard(bench: Bench) -> None:
    bench.answer = serving()
    bench.looks(300)


def _started_again_without_a_card(bench: Bench) -> None:
    bench.answer = serving()
    tick(bench, 10)
    bench.answer = snapshot("b2")
    bench.looks(300)


def _sampled_seldom(bench: Bench) -> None:
    bench.answer = serving(sample_interval_s=60.0)
    for _ in range(5):
        tick(bench, 1)
        bench.looks(59)
    bench.looks(100)


def _slept(bench: Bench) -> None:
    bench.answer = serving()
    tick(bench, 10)
    bench.now += 8 * 3600
    bench.looks(3)
    tick(bench, 60)


def _started_again_a_moment_ago(bench: Bench) -> None:
    bench.answer = serving()
    tick(bench, 10)
    bench.looks(40)
    bench.answer = serving("b2")
    bench.looks(50)


@pytest.mark.parametrize(
    "happens", [_never_heard, _started_again_without_a_card, _sampled_seldom, _slept, _started_again_a_moment_ago]
)
def test_where_no_sample_is_due_there_is_no_silence(tmp_path: Path, happens: Callable[[Bench], None]) -> None:
    bench = Bench(tmp_path / "journal", MemoryStore())
    happens(bench)
    assert bench.told() == []
    bench.close()


def test_while_serve_is_down_nobody_misses_its_samples(tmp_path: Path) -> None:
    bench = Bench(tmp_path / "journal", MemoryStore())
    bench.answer = serving()
    tick(bench, 10)
    bench.serve_is_gone()
    bench.looks(300)
    assert bench.told() == ["firing serve_down"]
    bench.close()


def test_samples_are_asked_for_every_five_seconds(tmp_path: Path) -> None:
    class Counting(MemoryStore):
        asked = 0

        def samples(self, since: float, until: float) -> Any:
            self.asked += 1
            return super().samples(since, until)

    store = Counting()
    bench = Bench(tmp_path / "journal", store)
    bench.looks(60)
    assert store.asked == 12
    bench.close()


def test_a_store_that_cannot_be_asked_leaves_what_hangs_on_it_and_nothing_else(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    class Failing(MemoryStore):
        fails = False

        def samples(self, since: float, until: float) -> Any:
            if self.fails:
                raise OSError("disk I/O error")
            return super().samples(since, until)

    store = Failing()
    bench = Bench(tmp_path / "journal", store)
    bench.answer = serving()
    tick(bench, 400, throttle_reasons=("hw_thermal",))
    store.fails = True
    bench.answer = dataclasses.replace(hot(95.0), instance_id="a1")
    bench.looks(400)
    assert bench.told() == ["firing gpu_throttled", "firing gpu_temperature"]
    assert "disk I/O error" in caplog.text
    bench.close()


@pytest.mark.parametrize("kept", [[], "text", {"errors": 7}, {"errors": {"ecc/GPU-0": "x"}, "heard_of": None}])
def test_a_memory_that_cannot_be_read_begins_anew(tmp_path: Path, kept: Any) -> None:
    bench = Bench(tmp_path / "journal", MemoryStore())
    bench.store.save_state(KEY, kept)
    tick(bench, 10, ecc_uncorrected=3)
    tick(bench, 10, ecc_uncorrected=4)
    assert bench.told() == ["firing gpu_errors"]
    bench.close()


def test_fields_of_the_wrong_type_count_as_absent() -> None:
    store = MemoryStore()
    odd = document(SampleEvent(at=NOW, device_id="GPU-0", device_name="card", ecc_uncorrected=1))
    odd |= {"llmops.gpu.ecc.uncorrected": "many", "llmops.gpu.throttle_reasons": "hw_thermal", "service.node.name": 7}
    cpu = document(SampleEvent(at=NOW, device_id="cpu", device_name="cpu", device_type="cpu"))
    store.record([odd, cpu])
    (found,) = Samples(store).latest(NOW)
    assert (found.ecc_uncorrected, found.throttle_reasons, found.instance_id) == (None, (), None)


def test_cards_of_one_name_have_their_id_with_it() -> None:
    assert labels([("1", "a"), ("2", "b"), ("1", "a"), ("3", "b")]) == {"1": "a", "2": "b (2)", "3": "b (3)"}
