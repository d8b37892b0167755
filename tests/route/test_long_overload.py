"""Ten seconds of ten times more than serve can do: what must hold anywhere. Times are benchmarks/overload.py's."""

from __future__ import annotations

import collections
from pathlib import Path

import psutil
import pytest

from benchmarks.crowd import Client, Crowd
from tests.route.processes import Box, until

SECONDS = 10.0
CAPACITY_PER_S = 30.0
"""Of 8 slots with an answer of about a quarter of a second."""


@pytest.mark.route
def test_ten_seconds_of_overload_leave_one_event_each_and_no_memory_behind(tmp_path: Path) -> None:
    box = Box(
        tmp_path,
        gpu__kind="none",
        engine__max_running=8,
        admission__queue_size=20,
        admission__rate_per_s=1e6,
        admission__burst=1_000_000,
    )
    resident: list[int] = []
    with box.program("serve") as process:
        box.until_ready()
        serve = psutil.Process(process.pid)
        crowd = Crowd(box.port, "one two three four five")
        clients = [Client(user="greedy", per_s=10 * CAPACITY_PER_S), Client(user="polite", at_once=1)]
        served = crowd.run(clients, SECONDS, lambda: resident.append(serve.memory_info().rss))
        until(lambda: len(box.documents("llmops.request")) >= len(served), 20)
    assert crowd.broken == 0
    assert {(each.status, each.code) for each in served} == {(200, None), (503, "queue_full")}
    assert {each.status for each in served if each.user == "polite"} == {200}, "nobody is locked out"
    events = box.documents("llmops.request")
    assert len({event["event.id"] for event in events}) == len(events) == len(served)
    recorded = collections.Counter(event["http.response.status_code"] for event in events)
    assert recorded == collections.Counter(each.status for each in served)
    assert recorded[503] > recorded[200]
    assert max(event.get("llmops.queue.depth_at_arrival", 0) for event in events) <= 20 + 8
    assert resident[-1] - resident[len(resident) // 2] < 16 << 20, "what was refused is forgotten"
