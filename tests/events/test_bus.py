from __future__ import annotations

import dataclasses
import logging
import math
import threading
import time
from collections.abc import Callable, Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmops.events import Bus, Document, Event, RequestEvent, Sink
from llmops.events.names import name_of
from tests.events.test_names import REQUEST
from tests.events.test_origin import ORIGIN

ID = name_of(RequestEvent, "request_id")


def _request(number: int) -> Event:
    return dataclasses.replace(REQUEST, request_id=str(number))


class _Shelf:
    """Keeps what it is given; waits at `gate`, and raises when told to."""

    def __init__(self, *, fails: bool = False) -> None:
        self.documents: list[Document] = []
        self.closed = False
        self.gate = threading.Event()
        self.gate.set()
        self._fails = fails

    def write(self, documents: Sequence[Document]) -> None:
        self.gate.wait(10.0)
        if self._fails:
            raise OSError("the shelf broke")
        assert documents, "an empty batch means nothing to a sink"
        self.documents += documents

    def close(self) -> None:
        self.closed = True
        if self._fails:
            raise OSError("and does not close")

    def ids(self) -> list[str]:
        return [document[ID] for document in self.documents]


def _bus(*sinks: Sink, capacity: int = 100) -> Bus:
    return Bus(ORIGIN, sinks, capacity=capacity)


def _until(condition: Callable[[], object], within_s: float = 5.0) -> None:
    deadline = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.002)


def test_events_reach_every_sink_in_order() -> None:
    first, second = _Shelf(), _Shelf()
    bus = _bus(first, second, capacity=2000)
    for number in range(1500):
        bus.emit(_request(number))
    assert bus.close()
    assert first.ids() == second.ids() == [str(number) for number in range(1500)]
    assert first.closed and second.closed
    assert (bus.dropped, bus.failed_writes) == (0, 0)


def test_an_event_is_written_soon_without_any_other_after_it() -> None:
    shelf = _Shelf()
    bus = _bus(shelf)
    for number in range(3):
        bus.emit(_request(number))
        _until(lambda expected=number + 1: len(shelf.documents) == expected, within_s=0.5)  # type: ignore[misc]
    bus.close()


def test_a_full_bus_drops_the_newest_and_counts_them() -> None:
    shelf = _Shelf()
    shelf.gate.clear()
    bus = _bus(shelf, capacity=10)
    bus.emit(_request(-1))
    _until(lambda: not bus._waiting)
    started = time.monotonic()
    for number in range(25):
        bus.emit(_request(number))
    assert time.monotonic() - started < 1.0
    assert bus.dropped == 15
    shelf.gate.set()
    assert bus.close()
    assert shelf.ids() == [str(number) for number in range(-1, 10)]


def test_a_sink_that_raises_stops_neither_the_others_nor_the_bus(caplog: pytest.LogCaptureFixture) -> None:
    shelf = _Shelf()
    bus = _bus(_Shelf(fails=True), shelf)
    for number in range(5):
        bus.emit(_request(number))
        _until(lambda expected=number + 1: len(shelf.documents) == expected)  # type: ignore[misc]
    assert bus.close()
    assert shelf.closed
    assert bus.failed_writes == 5
    assert [record.message for record in caplog.records] == ["_Shelf could not be written down: the shelf broke"]


def test_an_event_that_cannot_be_written_down_is_counted_and_the_next_one_is_written() -> None:
    shelf = _Shelf()
    bus = _bus(shelf)
    bus.emit(dataclasses.replace(REQUEST, at=math.nan))
    bus.emit(_request(1))
    assert bus.close()
    assert shelf.ids() == ["1"]
    assert bus.failed_writes == 1


def test_a_batch_of_which_nothing_can_be_written_down_reaches_no_sink() -> None:
    shelf = _Shelf()
    bus = _bus(shelf)
    bus.emit(dataclasses.replace(REQUEST, at=math.nan))
    assert bus.close()
    assert (shelf.documents, bus.failed_writes) == ([], 1)


def test_after_close_an_event_counts_as_dropped_and_close_may_be_called_again() -> None:
    shelf = _Shelf()
    bus = _bus(shelf)
    assert bus.close()
    bus.emit(_request(1))
    assert bus.close()
    assert (bus.dropped, shelf.documents) == (1, [])


def test_close_gives_up_on_a_sink_that_hangs() -> None:
    shelf = _Shelf()
    shelf.gate.clear()
    bus = _bus(shelf)
    bus.emit(_request(1))
    assert not bus.close(timeout_s=0.05)
    shelf.gate.set()
    assert bus.close()
    assert shelf.ids() == ["1"]


class _Ticking(_Shelf):
    def __init__(self) -> None:
        super().__init__()
        self.ticks = 0

    def tick(self) -> None:
        self.ticks += 1
        raise OSError("not now")


def test_a_quiet_bus_ticks_the_sinks_that_want_it_and_writes_nothing_to_the_others() -> None:
    plain, ticking = _Shelf(), _Ticking()
    bus = _bus(ticking, plain)
    _until(lambda: ticking.ticks)
    bus.emit(_request(1))
    assert bus.close()
    assert plain.ids() == ticking.ids() == ["1"]
    assert bus.failed_writes == 0


def test_no_event_of_many_threads_is_lost_uncounted() -> None:
    shelf = _Shelf()
    bus = _bus(shelf, capacity=300)

    def emit_many() -> None:
        for number in range(500):
            bus.emit(_request(number))

    threads = [threading.Thread(target=emit_many) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert bus.close()
    assert len(shelf.documents) + bus.dropped == 2000


@settings(max_examples=20, deadline=None)
@given(st.lists(st.booleans(), max_size=40), st.integers(1, 10))
def test_what_is_written_and_what_is_dropped_add_up(open_gate: list[bool], capacity: int) -> None:
    shelf = _Shelf()
    bus = _bus(shelf, capacity=capacity)
    for number, is_open in enumerate(open_gate):
        (shelf.gate.set if is_open else shelf.gate.clear)()
        bus.emit(_request(number))
    shelf.gate.set()
    assert bus.close()
    assert len(shelf.documents) + bus.dropped == len(open_gate)
    numbers = [int(text) for text in shelf.ids()]
    assert numbers == sorted(numbers)


def test_a_complaint_is_not_repeated_within_half_a_minute(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    bus = _bus(_Shelf(fails=True), _Shelf(fails=True))
    bus.emit(_request(1))
    bus.close()
    assert len(caplog.records) == 1


class _Leaky(_Shelf):
    lost = 3


def test_what_is_lost_counts_the_bus_and_what_its_sinks_gave_up() -> None:
    bus = _bus(_Leaky())
    bus.close()
    bus.emit(_request(0))
    assert (bus.dropped, bus.lost) == (1, 4)


def test_a_busy_bus_ticks_too() -> None:
    ticking = _Ticking()
    bus = _bus(ticking)
    began = time.monotonic()
    while not ticking.ticks:
        bus.emit(_request(1))
        time.sleep(0.1)
        assert time.monotonic() - began < 5.0
    assert bus.close()


class _Stuck(_Shelf):
    waiting = 7
    trouble = "No space left on device"


def test_it_says_what_waits_and_why() -> None:
    bus = _bus(_Shelf(), _Stuck())
    assert (bus.waiting, bus.trouble) == (7, "No space left on device")
    bus.close()


def test_a_sink_that_does_not_come_back_is_trouble(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("llmops.events.bus._STUCK_S", 0.05)
    shelf = _Shelf()
    shelf.gate.clear()
    bus = _bus(shelf)
    assert bus.trouble is None
    bus.emit(_request(1))
    _until(lambda: bus.trouble)
    assert bus.trouble == "writing has not come back for 0 s"
    bus.emit(_request(2))
    assert bus.waiting == 1
    shelf.gate.set()
    _until(lambda: not bus.trouble)
    assert bus.close()
