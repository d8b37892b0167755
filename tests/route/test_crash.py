"""`kill -9` in the middle of a stream: told, restarted, resolved, and nothing of the record lost."""

from __future__ import annotations

import contextlib
import os
import signal
from pathlib import Path

import httpx
import psutil
import pytest

from llmops.client import fetch_snapshot
from llmops.store.errors import StoreUnreadable
from tests.route.processes import Box, until


@pytest.mark.route
def test_a_killed_serve_is_told_within_15_s_restarted_and_resolved(tmp_path: Path) -> None:
    box = Box(tmp_path, engine__echo_tokens_per_s=20, watch__interval_s=0.25)
    with box.program("up"):
        box.until_ready()
        for _ in range(3):
            assert box.chat().status_code == 200
        before = fetch_snapshot(box.url)
        body = {"messages": [{"role": "user", "content": "word " * 500}], "stream": True, "max_tokens": 400}
        with (
            contextlib.suppress(httpx.HTTPError),
            httpx.stream("POST", f"{box.url}/v1/chat/completions", json=body, timeout=30) as stream,
        ):
            for number, _ in enumerate(stream.iter_lines()):
                if number == 5:
                    os.kill(before.process_id, signal.SIGKILL)
        took_s = until(lambda: ("serve_down", "firing") in box.alerts(), 15, lambda: box.log("up"))
        assert took_s < 15
        until(lambda: box.ready() and fetch_snapshot(box.url).instance_id != before.instance_id, 30)
        assert fetch_snapshot(box.url).previous_exit == "crash"
        until(lambda: ("serve_down", "resolved") in box.alerts(), 30, lambda: box.log("up"))
        assert box.chat().status_code == 200
    requests = box.documents("llmops.request")
    assert sum(event["event.outcome"] == "success" for event in requests) == 4
    everything = box.documents()
    with box.store() as store:
        assert sum(store.totals().values()) == len({event["event.id"] for event in everything}) == len(everything)
        assert len(store.requests(limit=100)) == len(requests)


@pytest.mark.route
def test_deleting_the_store_rebuilds_it_from_the_journal(tmp_path: Path) -> None:
    box = Box(tmp_path, watch__interval_s=0.25)
    with box.program("serve"):
        box.until_ready()
        with box.program("watch"):
            for _ in range(5):
                box.chat()
            until(lambda: _recorded(box) == 5, 10, lambda: box.log("watch"))
        for path in tmp_path.glob("llmops.sqlite*"):
            path.unlink()
        with box.program("watch"):
            until(lambda: _recorded(box) == 5, 10, lambda: box.log("watch"))


def _recorded(box: Box) -> int:
    with contextlib.suppress(StoreUnreadable), box.store() as store:  # not there yet, or being made
        return len(store.requests(limit=100))
    return 0


@pytest.mark.route
def test_children_end_when_their_supervisor_is_killed(tmp_path: Path) -> None:
    box = Box(tmp_path)
    with box.program("up") as up:
        box.until_ready()
        children = [child.pid for child in psutil.Process(up.pid).children()]
        up.kill()
        up.wait()
        until(lambda: not any(psutil.pid_exists(pid) for pid in children), 20)
    assert len(children) == 2
