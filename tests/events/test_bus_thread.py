"""The thread of the bus: what waits for it, and what is known when it has ended."""

from __future__ import annotations

import asyncio
import dataclasses
import math
import threading
import time
from collections.abc import Callable, Sequence

import pytest

from llmops.events import Bus, Document, Event, RequestEvent
from llmops.events.names import name_of
from tests.events.test_names import REQUEST
from tests.events.test_origin import ORIGIN

ID = name_of(RequestEvent, "request_id")


def _request(number: int) -> Event:
    return dataclasses.replace(REQUEST, request_id=str(number))


class _Shelf:
    """Keeps what it is given; waits at `gate`, and ends the thread that gives it something when it is told to."""

    trouble: str | None = None

    def __init__(self) -> None:
        self.ids: list[str] = []
        self.gate = threading.Event()
        self.gate.set()
        self.is_deadly = False

    def write(self, documents: Sequence[Document]) -> None:
        self.gate.wait(10.0)
        if self.is_deadly:
            self.is_deadly = False
            raise SystemExit("a library called sys.exit")
        self.ids += [document[ID] for document in documents]

    def close(self) -> None:
        """Nothing is kept open."""


def _until(condition: Callable[[], object], within_s: float = 5.0) -> None:
    deadline = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.002)


def test_a_thread_that_ended_is_reported_and_what_waits_for_it_is_written_at_the_end(
    caplog: pytest.LogCaptureFixture,
) -> None:
    shelf = _Shelf()
    bus = Bus(ORIGIN, [shelf])
    assert (bus.is_alive, bus.trouble) == (True, None)
    shelf.is_deadly = True
    bus.emit(_request(1))
    _until(lambda: not bus.is_alive)
    assert bus.trouble == "the thread that writes events has ended; restart the process"
    assert [record.levelname for record in caplog.records] == ["CRITICAL"]
    assert (bus.failed_writes, bus.lost) == (1, 1), "what it held when it ended"
    bus.emit(_request(2))
    bus.emit(_request(3))
    assert bus.waiting == 2
    assert bus.close()
    assert (shelf.ids, bus.lost) == (["2", "3"], 1)
    assert bus.close()
    assert bus.is_alive, "one that was closed has not ended by itself"


async def test_whoever_waits_for_an_event_goes_on_when_the_first_sink_has_it_and_before_the_others() -> None:
    record, slow = _Shelf(), _Shelf()
    slow.gate.clear()
    bus = Bus(ORIGIN, [record, slow])
    await bus.record(_request(1), within_s=5.0)
    assert (record.ids, slow.ids) == (["1"], [])
    slow.gate.set()
    assert bus.close()
    assert slow.ids == ["1"]


async def test_an_event_that_is_waited_for_is_not_kept_back_for_those_that_may_follow() -> None:
    shelf = _Shelf()
    bus = Bus(ORIGIN, [shelf])
    took_s = []
    for number in range(20):
        began = time.monotonic()
        await bus.record(_request(number), within_s=5.0)
        took_s.append(time.monotonic() - began)
    assert len(shelf.ids) == 20
    assert min(took_s) < 0.015, "others are gathered for 20 ms"
    bus.close()


async def test_nobody_waits_for_long_for_a_sink_that_hangs_nor_at_all_for_one_in_trouble_or_a_closed_bus() -> None:
    shelf = _Shelf()
    shelf.gate.clear()
    bus = Bus(ORIGIN, [shelf])
    began = time.monotonic()
    await bus.record(_request(1), within_s=0.05)
    assert 0.04 < time.monotonic() - began < 2.0
    shelf.trouble = "No space left on device"
    began = time.monotonic()
    await bus.record(_request(2), within_s=5.0)
    shelf.trouble = None
    shelf.gate.set()
    bus.close()
    await bus.record(_request(3), within_s=5.0)
    assert time.monotonic() - began < 2.0
    assert (shelf.ids, bus.dropped) == (["1", "2"], 1)


def test_a_loop_that_ended_while_it_waited_costs_the_bus_nothing() -> None:
    shelf = _Shelf()
    shelf.gate.clear()
    bus = Bus(ORIGIN, [shelf])
    asyncio.run(bus.record(_request(1), within_s=0.01))
    shelf.gate.set()
    bus.emit(_request(2))
    assert bus.close()
    assert (shelf.ids, bus.lost) == (["1", "2"], 0)


class _Desk(_Shelf):
    """Takes a document at once while it is free, and does something else with it later."""

    def __init__(self) -> None:
        super().__init__()
        self.is_free = True
        self.seen: list[str] = []

    def write_now(self, document: Document) -> bool:
        if self.is_free:
            self.ids.append(document[ID])
        return self.is_free

    def written(self, documents: Sequence[Document]) -> None:
        self.seen += [document[ID] for document in documents]


async def test_a_sink_that_can_take_a_document_at_once_does_so_on_the_thread_of_who_emits_it() -> None:
    desk, other = _Desk(), _Shelf()
    desk.gate.clear()  # of the bus's thread
    bus = Bus(ORIGIN, [desk, other])
    await bus.record(_request(1), within_s=5.0)
    assert desk.ids == ["1"]
    desk.is_free = False
    began = time.monotonic()
    await bus.record(_request(2), within_s=0.05)
    assert time.monotonic() - began > 0.04, "then the thread has to"
    desk.gate.set()
    assert bus.close()
    assert (desk.ids, desk.seen, other.ids, bus.lost) == (["1", "2"], ["1"], ["1", "2"], 0)


async def test_an_event_that_cannot_be_written_down_is_counted_once_where_it_should_be_written_at_once() -> None:
    desk = _Desk()
    bus = Bus(ORIGIN, [desk])
    await bus.record(dataclasses.replace(REQUEST, at=math.nan), within_s=5.0)
    await bus.record(_request(1), within_s=5.0)
    assert bus.close()
    assert (desk.ids, bus.failed_writes) == (["1"], 1)
