"""The canary of watch: sent again and again, told as an event, and never beyond the end."""

from __future__ import annotations

import asyncio
import time

from llmops.events import BenchmarkEvent
from llmops.events.documents import Event
from llmops.settings import CanarySettings
from llmops.watching.canaries import schedule_canary
from tests.bench.test_canary import Serve
from tests.client.small_server import serving

DIALS = CanarySettings(interval_s=0.1)


async def test_every_outcome_is_an_event_and_a_failure_does_not_end_it() -> None:
    events: list[Event] = []
    async with serving(Serve()) as (url, _):
        schedule = schedule_canary(DIALS, url, events.append)
        schedule.start()
        await _until(events, 2)
    await _until(events, len(events) + 2)
    schedule.stop()
    failures = [event.failed for event in events if isinstance(event, BenchmarkEvent)]
    assert failures[:2] == [0, 0]
    assert failures[-1] == 1


async def test_one_that_is_under_way_at_the_end_is_not_told() -> None:
    events: list[Event] = []
    serve = Serve(hangs=True)
    async with serving(serve) as (url, _):
        schedule = schedule_canary(DIALS, url, events.append)
        schedule.start()
        while not serve.chats:
            await asyncio.sleep(0.02)
        await asyncio.to_thread(schedule.stop)
        await asyncio.wait_for(serve.left.wait(), 5.0)
    assert events == []


async def _until(events: list[Event], count: int) -> None:
    deadline = time.monotonic() + 10
    while len(events) < count:
        assert time.monotonic() < deadline
        await asyncio.sleep(0.02)
