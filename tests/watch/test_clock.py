"""The clock is set back or forward by an hour while watch looks: nothing is told sooner, later or twice for that."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import pytest

from llmops.alerts import Pace
from llmops.elastic.report import FILE, fresh_report, write_report
from llmops.events.snapshot import DeviceSnapshot
from llmops.store import MemoryStore
from llmops.watching.clock import ClockSteps
from llmops.watching.gauges import Look, lag_rules
from llmops.watching.surroundings import Surroundings
from tests.alerts.test_serving import snapshot
from tests.store.events import sample
from tests.watch.looks import NOW, Bench

HOUR = 3600.0
FULL = dataclasses.replace(snapshot(), waiting=9, waiting_capacity=10)
both_ways = pytest.mark.parametrize("step_s", [-HOUR, HOUR])


class Box(Bench):
    """A bench with a stopwatch beside the clock, which may be set."""

    def __init__(self, folder: Path) -> None:
        self.monotonic_s = 1000.0
        super().__init__(folder, MemoryStore())
        self.stopwatch = lambda: self.monotonic_s
        self.watch = self.build(self.store)

    def looks(self, seconds: int) -> None:
        for _ in range(seconds):
            super().looks(1)
            self.monotonic_s += 1.0


@pytest.fixture
def box(tmp_path: Path) -> Iterator[Box]:
    made = Box(tmp_path / "journal")
    yield made
    made.close()


@both_ways
def test_an_alert_that_is_pending_fires_when_its_seconds_have_passed(box: Box, step_s: float) -> None:
    box.answer = FULL
    box.looks(30)
    box.now += step_s
    box.looks(30)
    assert box.told() == [], "queue_saturated needs a minute"
    box.looks(2)
    assert box.told() == ["firing queue_saturated"]


@both_ways
def test_an_alert_that_clears_is_resolved_when_its_seconds_have_passed(box: Box, step_s: float) -> None:
    box.answer = FULL
    box.looks(62)
    box.answer = snapshot()
    box.looks(60)
    box.now += step_s
    box.looks(60)
    assert box.told() == ["firing queue_saturated"], "it must be clear for two minutes"
    box.looks(2)
    assert box.told() == ["firing queue_saturated", "resolved queue_saturated"]
    (_, over) = box.notices
    assert over.to_json()["duration_s"] >= 0.0


@both_ways
def test_what_still_fires_is_told_again_after_its_interval_and_not_because_of_the_clock(
    box: Box, step_s: float
) -> None:
    box.pace = Pace(group_wait_s=0.0, group_interval_s=0.0, repeat_s=600.0)
    box.watch = box.build(box.store)
    box.answer = FULL
    box.looks(62 + 300)
    box.now += step_s
    box.looks(290)
    assert box.told() == ["firing queue_saturated"]
    box.looks(20)
    assert box.told() == ["firing queue_saturated", "repeat queue_saturated"]


@both_ways
def test_cards_that_fall_silent_as_the_clock_is_set_are_told_in_time(box: Box, step_s: float) -> None:
    card = DeviceSnapshot(id="GPU-0", name="card", type="gpu", memory_used_bytes=1, memory_limit_bytes=100)
    box.answer = dataclasses.replace(snapshot(), devices=(card,))
    box.write([sample(box.now - 1)])
    box.looks(20)
    box.now += step_s
    box.looks(40)
    assert box.told() == []
    box.looks(60)
    assert box.told() == ["firing gpu_silent"]


@both_ways
def test_a_watch_that_is_behind_counts_the_seconds_and_not_the_hours(step_s: float) -> None:
    (lag,) = lag_rules().values()
    looks = [(NOW, 0.0), (NOW + 10, 10.0), (NOW + step_s + 11, 11.0), (NOW + step_s + 50, 50.0)]
    found = [
        lag(Look(answer="silence", states={}, now=now, monotonic_s=seconds, behind=True)).value
        for now, seconds in looks
    ]
    assert found == [0.0, 10.0, 11.0, 50.0]


@both_ways
def test_a_shipper_is_silent_after_five_minutes_whatever_the_clock_says(tmp_path: Path, step_s: float) -> None:
    report = dataclasses.replace(fresh_report(), at=NOW - 5, state="waiting", problem="it is away")
    write_report(tmp_path / FILE, report)
    (tmp_path / "checkpoint.json").write_text("{}")
    rule = Surroundings(MemoryStore(), tmp_path, tmp_path).rules["elasticsearch_unreachable"]

    def told(now: float, seconds: float) -> str:
        return str(rule(Look(answer="silence", states={}, now=now, monotonic_s=seconds)).reason)

    assert told(NOW, 0.0) == "events wait in the journal: it is away"
    assert told(NOW + step_s + 20, 20.0) == "events wait in the journal: it is away"
    assert told(NOW + step_s + 290, 290.0) == "events wait in the journal: it is away"
    assert told(NOW + step_s + 296, 296.0) == "llmops ship was running, and has told nothing for 5 minutes"
    write_report(tmp_path / FILE, dataclasses.replace(report, at=NOW + step_s + 300))
    assert told(NOW + step_s + 310, 310.0) == "events wait in the journal: it is away"


def test_a_clock_that_is_corrected_little_by_little_is_not_set() -> None:
    seconds = iter([0.0, 1.0, 2.0, 3.0, 4.0])
    steps = ClockSteps(lambda: next(seconds))
    looked = [steps.look(now) for now in (NOW, NOW + 1.4, NOW + 2.4, NOW + 103.4, NOW + 54.4)]
    assert looked == [(0.0, 0.0), (1.0, 0.0), (2.0, 0.0), (3.0, 100.0), (4.0, -50.0)]
    assert ClockSteps(None).look(NOW) == (NOW, 0.0)
