"""The scheduled self-benchmark of watch against a small serve."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import time
from pathlib import Path

import pytest

from llmops.events import BenchmarkEvent
from llmops.events.documents import Event
from llmops.settings import BenchSettings
from llmops.store import open_store
from llmops.watching.benchmarks import schedule_benchmarks
from tests.client.small_server import SNAPSHOT, Asked, delta, open_stream, reply, send, serving, usage
from tests.store.events import document

DIALS = BenchSettings(interval_s=0.2, retry_s=0.2, requests=2, concurrency=1, max_tokens=4)


async def _until(events: list[Event], count: int) -> None:
    deadline = time.monotonic() + 10
    while len(events) < count:
        assert time.monotonic() < deadline
        await asyncio.sleep(0.02)


class _Serve:
    """Answers at once, or after `pause_s`."""

    def __init__(self, pause_s: float = 0.0) -> None:
        self.chats = 0
        self._pause_s = pause_s

    async def __call__(self, asked: Asked, _: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if asked.path == "/ops/snapshot":
            await reply(writer, 200, json.dumps(SNAPSHOT))
            return
        self.chats += 1
        await open_stream(writer)
        await asyncio.sleep(self._pause_s)
        await send(writer, delta("a"), delta(finish_reason="stop"), usage(5, 4), "[DONE]")


async def test_a_run_is_compared_with_the_newest_that_asked_the_same(tmp_path: Path) -> None:
    events: list[Event] = []
    async with serving(_Serve()) as (url, _):
        schedule = schedule_benchmarks(DIALS, url, tmp_path / "s", events.append)
        schedule.start()
        await _until(events, 1)
        first = events[0]
        assert isinstance(first, BenchmarkEvent)
        assert (first.baseline_id, first.url, first.max_tokens) == (None, url, 4)
        store = open_store(tmp_path / "s")
        store.record(
            [document(first), document(dataclasses.replace(first, benchmark_id="b", at=first.at + 1, url="x"))]
        )
        store.close()
        seen = len(events)
        await _until(events, seen + 2)
        schedule.stop()
    last = events[-1]
    assert isinstance(last, BenchmarkEvent)
    assert last.baseline_id == first.benchmark_id


async def test_a_run_under_way_at_the_end_is_cut_short_and_not_told(tmp_path: Path) -> None:
    events: list[Event] = []
    serve = _Serve(pause_s=0.2)
    async with serving(serve) as (url, _):
        schedule = schedule_benchmarks(DIALS.model_copy(update={"requests": 200}), url, tmp_path / "s", events.append)
        schedule.start()
        while not serve.chats:
            await asyncio.sleep(0.02)
        await asyncio.to_thread(schedule.stop)
        await asyncio.sleep(0.6)
        assert serve.chats == 1
    assert events == []


class _Neighbours(_Serve):
    """Its first run is quick, the second meets a busy neighbour, and those after it only where it stays."""

    def __init__(self, *, stays: bool) -> None:
        super().__init__()
        self._stays = stays

    async def __call__(self, asked: Asked, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        run = self.chats // DIALS.requests
        self._pause_s = 0.5 if run == 1 or (run > 1 and self._stays) else 0.05
        await super().__call__(asked, reader, writer)


@pytest.mark.parametrize("stays", [False, True])
async def test_a_slower_run_is_a_regression_only_when_another_right_after_it_is_slower_too(
    tmp_path: Path, stays: bool
) -> None:
    events: list[Event] = []
    serve = _Neighbours(stays=stays)
    async with serving(serve) as (url, _):
        schedule = schedule_benchmarks(DIALS, url, tmp_path / "s", events.append)
        schedule.start()
        await _until(events, 1)
        first = events[0]
        store = open_store(tmp_path / "s")
        store.record([document(first)])
        store.close()
        await _until(events, 2)
        schedule.stop()
    second = events[1]
    assert isinstance(second, BenchmarkEvent)
    assert second.regression is stays
