from __future__ import annotations

import datetime
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from apscheduler.schedulers.base import STATE_STOPPED
from pydantic import TypeAdapter

from llmops.bench.schedule import Schedule, busy
from llmops.events.snapshot import ServeSnapshot
from tests.client.small_server import SNAPSHOT


class _Runs:
    """Counts runs; `answer` gives what each returns."""

    def __init__(self, answer: Callable[[int], bool]) -> None:
        self.at: list[float] = []
        self.enough = threading.Event()
        self._answer = answer

    def __call__(self) -> bool:
        self.at.append(time.monotonic())
        if len(self.at) >= 3:
            self.enough.set()
        return self._answer(len(self.at))


@contextmanager
def _started(schedule: Schedule) -> Iterator[None]:
    schedule.start()
    try:
        yield
    finally:
        schedule.stop()
        schedule.stop()


def test_it_runs_again_and_again_at_its_interval() -> None:
    runs = _Runs(lambda _: True)
    with _started(Schedule(runs, interval_s=0.1, retry_s=0.1, first_after_s=0.0)):
        assert runs.enough.wait(5.0)
    assert runs.at[2] - runs.at[0] > 0.15


def test_while_users_wait_it_tries_again_soon() -> None:
    runs = _Runs(lambda number: number >= 3)
    with _started(Schedule(runs, interval_s=3600.0, retry_s=0.05, first_after_s=0.0)):
        assert runs.enough.wait(5.0)
        time.sleep(0.2)
    assert len(runs.at) == 3


def test_a_run_that_fails_does_not_end_the_schedule(caplog: pytest.LogCaptureFixture) -> None:
    def answer(number: int) -> bool:
        if number == 1:
            raise RuntimeError("no disk")
        return True

    runs = _Runs(answer)
    with _started(Schedule(runs, interval_s=0.05, retry_s=0.05, first_after_s=0.0)):
        assert runs.enough.wait(5.0)
    assert [record.message for record in caplog.records if record.levelname == "ERROR"] == ["the self-benchmark failed"]


def test_the_first_run_waits_a_whole_interval_unless_told_otherwise() -> None:
    runs = _Runs(lambda _: True)
    with _started(Schedule(runs, interval_s=3600.0, retry_s=1.0)):
        time.sleep(0.1)
    assert runs.at == []


def test_a_thread_that_ended_by_itself_is_known() -> None:
    ended, quiet = (Schedule(lambda: True, interval_s=3600.0, retry_s=1.0) for _ in range(2))
    assert ended.is_alive, "it has not begun"
    with _started(quiet), _started(ended):
        thread = ended._scheduler._thread
        ended._scheduler._event.set()
        ended._scheduler.state = STATE_STOPPED
        thread.join(5.0)
        assert not ended.is_alive
        assert quiet.is_alive


@pytest.mark.parametrize("step_s", [-3600.0, 3600.0])
def test_a_clock_that_is_set_neither_silences_nor_hurries_it(monkeypatch: pytest.MonkeyPatch, step_s: float) -> None:
    ahead_s = [0.0]

    class Clock(datetime.datetime):
        """The one that the library looks at."""

        @classmethod
        def now(cls, tz: datetime.tzinfo | None = None) -> datetime.datetime:  # type: ignore[override]
            return datetime.datetime.fromtimestamp(time.time() + ahead_s[0], tz)

    monkeypatch.setattr("apscheduler.schedulers.base.datetime", Clock)
    runs = _Runs(lambda _: True)
    schedule = Schedule(runs, interval_s=0.5, retry_s=0.5, now=lambda: time.time() + ahead_s[0])
    started = time.monotonic()
    with _started(schedule):
        ahead_s[0] = step_s
        assert runs.enough.wait(10.0)
    assert runs.at[0] - started >= 0.45
    assert runs.at[2] - runs.at[0] >= 0.9


def test_after_stop_nothing_runs() -> None:
    runs = _Runs(lambda _: True)
    with _started(Schedule(runs, interval_s=0.05, retry_s=0.05, first_after_s=0.0)):
        assert runs.enough.wait(5.0)
    count = len(runs.at)
    time.sleep(0.2)
    assert len(runs.at) <= count + 1


@pytest.mark.parametrize(
    ("values", "expected"),
    [({}, False), ({"running": 1}, True), ({"waiting": 1}, True), ({"state": "draining"}, True)],
)
def test_serve_is_busy_while_users_run_or_wait_or_it_is_not_ready(values: dict[str, object], expected: bool) -> None:
    snapshot = TypeAdapter(ServeSnapshot).validate_json(json.dumps({**SNAPSHOT, **values}))
    assert busy(snapshot) is expected
