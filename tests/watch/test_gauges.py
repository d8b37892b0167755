"""The rules beside the objectives, at the looks of a real watch."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from llmops.alerts import AlertState, say
from llmops.alerts.rules import Finding, fingerprint_of
from llmops.events.snapshot import DeviceSnapshot, ServeSnapshot
from llmops.store import MemoryStore, Store, open_store
from llmops.watching.gauges import Gauges, Look, Seldom, lag_rules, thread_rules
from tests.alerts.test_serving import snapshot
from tests.store.events import request
from tests.watch.looks import NOW, Bench


@pytest.fixture(params=["sqlite", "memory"])
def bench(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Bench]:
    store: Store = open_store(tmp_path / "s") if request.param == "sqlite" else MemoryStore()
    made = Bench(tmp_path / "journal", store)
    yield made
    made.close()


def with_queue(waiting: int) -> ServeSnapshot:
    return dataclasses.replace(snapshot(), waiting=waiting, waiting_capacity=10)


def test_a_fresh_install_tells_nothing_in_an_hour_of_quiet_looks(tmp_path: Path) -> None:
    bench = Bench(tmp_path / "journal", open_store(tmp_path / "s"))
    processor = DeviceSnapshot(
        id="cpu", name="2 CPU cores", type="cpu", memory_used_bytes=99, memory_limit_bytes=100, temperature_c=99.0
    )
    bench.answer = dataclasses.replace(snapshot(), devices=(processor,))
    bench.looks(3600)
    assert bench.told() == []
    assert bench.store.totals() == {}
    bench.close()


def test_a_full_queue_is_told_after_a_minute_and_over_when_it_is_half_empty(bench: Bench) -> None:
    bench.answer = with_queue(9)
    bench.looks(60)
    assert bench.told() == []
    bench.looks(2)
    assert bench.told() == ["firing queue_saturated"]
    assert bench.notices[0].reason == "90% of the places in the queue are taken (limit 90%)"
    bench.answer = with_queue(6)
    bench.looks(200)
    assert bench.told() == ["firing queue_saturated"]
    bench.answer = with_queue(4)
    bench.looks(122)
    assert bench.told() == ["firing queue_saturated", "resolved queue_saturated"]


def test_a_serve_without_a_queue_has_none_that_is_full(bench: Bench) -> None:
    bench.answer = dataclasses.replace(snapshot(), waiting=0, waiting_capacity=0)
    bench.looks(100)
    assert bench.told() == []


def test_while_serve_is_down_its_full_queue_is_not_told(bench: Bench) -> None:
    bench.answer = with_queue(10)
    bench.looks(58)
    bench.serve_is_gone()
    bench.looks(100)
    assert bench.told() == ["firing serve_down"]


@pytest.mark.parametrize("skew_s", [-6.0, 6.0])
def test_a_clock_that_is_six_seconds_off_is_told_until_it_is_set(bench: Bench, skew_s: float) -> None:
    bench.skew_s = skew_s
    bench.looks(32)
    assert bench.told() == ["firing clock_skew"]
    assert bench.notices[0].reason == "the clocks of serve and watch are 6.0 s apart (limit 5 s)"
    bench.skew_s = 1.0
    bench.looks(32)
    assert bench.told() == ["firing clock_skew", "resolved clock_skew"]


def test_clocks_that_differ_by_the_time_that_an_answer_takes_are_right(bench: Bench) -> None:
    bench.skew_s = -2.5
    bench.looks(100)
    assert bench.told() == []


class _Slow(MemoryStore):
    """Takes no documents while it is stuck."""

    stuck = False

    def record(self, documents: Any, checkpoints: Any = ()) -> int:
        if self.stuck:
            raise RuntimeError("database is locked")
        return super().record(documents, checkpoints)


def test_a_watch_that_cannot_read_the_journal_says_so_after_two_minutes(tmp_path: Path) -> None:
    store = _Slow()
    bench = Bench(tmp_path / "journal", store)
    bench.write([request(NOW)])
    bench.looks(2)
    store.stuck = True
    bench.write([request(NOW)])
    bench.looks(119)
    assert bench.told() == []
    bench.looks(3)
    assert bench.told() == ["firing journal_lag"]
    assert bench.notices[0].reason.startswith("for 120 s watch has not read all that the journal holds")
    store.stuck = False
    bench.looks(62)
    assert bench.told() == ["firing journal_lag", "resolved journal_lag"]
    bench.close()


def test_lag_counts_from_the_last_look_that_had_everything_and_not_backwards() -> None:
    (lag,) = lag_rules().values()
    looks = [(0.0, True), (50.0, True), (70.0, False), (75.0, True), (20.0, True), (30.0, True)]
    found = [lag(Look(answer="silence", states={}, now=NOW + at, behind=behind)).value for at, behind in looks]
    assert found == [0.0, 50.0, 0.0, 5.0, 0.0, 10.0]


def test_a_rule_that_fails_holds_its_own_alert_and_is_said_once(caplog: pytest.LogCaptureFixture) -> None:
    broken = True

    def fails(look: Look) -> Finding:
        if broken:
            raise OSError("disk I/O error")
        return Finding(rule_id="vram", name=say("vram"), severity="ticket", active=False)

    gauges = Gauges({"vram": fails})
    look = Look(answer="silence", states={}, now=NOW)
    assert [each.rule_id for each in gauges.findings(look)] == ["queue_saturated", "clock_skew", "journal_lag"]
    known = Finding(rule_id="vram", name=say("vram"), severity="ticket", active=True, value=0.9)
    state = AlertState(phase="firing", started=NOW, active_since=NOW, clear_since=None, finding=known)
    look = dataclasses.replace(look, states={fingerprint_of("vram"): state})
    assert gauges.findings(look)[-1] == dataclasses.replace(known, active=None)
    assert caplog.text.count("the rule vram cannot be judged") == 1
    broken = False
    assert gauges.findings(look)[-1].active is False
    broken = True
    gauges.findings(look)
    assert caplog.text.count("the rule vram cannot be judged") == 2


def test_a_thread_of_watch_that_has_ended_is_a_page_until_watch_is_started_again() -> None:
    ended: list[str] = []
    gauges = Gauges(thread_rules(lambda: ended))
    look = Look(answer=snapshot(), states={}, now=NOW)
    assert gauges.findings(look)[-1].active is False
    ended.append("canary")
    found = gauges.findings(look)[-1]
    assert (found.rule_id, found.active) == ("thread_ended", True)
    assert str(found.reason) == "the thread canary of watch has ended; restart watch"


def test_what_is_done_seldom_is_done_at_once_then_again_and_after_a_clock_went_back() -> None:
    seldom = Seldom(10.0)
    assert [seldom.is_due(NOW + at) for at in (0.0, 1.0, 9.9, 10.0, 19.0, 5.0, 6.0, 15.0)] == [
        *(True, False, False, True, False, True, False, True)
    ]
