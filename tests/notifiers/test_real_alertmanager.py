"""A real Alertmanager, as Debian packages it: what fires stays active there, and ends when it should."""

from __future__ import annotations

import contextlib
import dataclasses
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from llmops.notifiers import Alertmanager, Delivery, Notification
from tests.notifiers.notices import item, notification

_BINARY = shutil.which("prometheus-alertmanager") or shutil.which("alertmanager")
pytestmark = pytest.mark.skipif(
    _BINARY is None, reason="needs a real Alertmanager: apt-get install prometheus-alertmanager"
)
REFRESH_S = 0.5
"""Alertmanager expires alerts after four of these."""


@contextlib.contextmanager
def alertmanager(folder: Path, port: int) -> Iterator[str]:
    config = folder / "alertmanager.yml"
    config.write_text("route: {receiver: none}\nreceivers: [{name: none}]\n")
    where, url = f"127.0.0.1:{port}", f"http://127.0.0.1:{port}"
    command = [str(_BINARY), f"--config.file={config}", f"--storage.path={folder / 'data'}"]
    command += [f"--web.listen-address={where}", "--cluster.listen-address="]
    with (folder / "log").open("ab") as log, subprocess.Popen(command, stdout=log, stderr=log) as process:
        try:
            _wait(lambda: _answers(url))
            yield url
        finally:
            process.terminate()


def free_port() -> int:
    """An Alertmanager that restarts keeps its port, so port 0 does not do."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def _answers(url: str) -> bool:
    with contextlib.suppress(httpx.HTTPError):
        return httpx.get(f"{url}/-/ready").status_code == 200
    return False


def _wait(is_so: Callable[[], bool], timeout_s: float = 20.0) -> None:
    deadline = time.monotonic() + timeout_s
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def active(url: str) -> list[Any]:
    return [each["labels"]["alertname"] for each in httpx.get(f"{url}/api/v2/alerts?active=true").json()]


def told(action: str) -> Notification:
    """As of now."""
    now = time.time()
    old = item(action)
    transition = dataclasses.replace(old.transition, at=now, started=now - 60)
    return notification(dataclasses.replace(old, transition=transition))


def test_an_alert_fires_survives_a_restart_of_alertmanager_and_resolves(tmp_path: Path) -> None:
    port, firing = free_port(), told("firing")
    delivery = Delivery([Alertmanager(f"http://127.0.0.1:{port}", instance="box:8000", refresh_s=REFRESH_S)])
    with alertmanager(tmp_path, port) as url:
        delivery.keep_active(lambda: [firing])
        delivery.tell(firing)
        _wait(lambda: active(url) == ["slo.latency.page"])
    with alertmanager(tmp_path, port) as url:
        _wait(lambda: active(url) == ["slo.latency.page"])
        delivery.keep_active(list)
        delivery.tell(told("resolved"))
        _wait(lambda: active(url) == [])
    delivery.close()


def test_an_active_alert_stays_and_expires_once_watch_is_dead(tmp_path: Path) -> None:
    port, firing = free_port(), told("firing")
    delivery = Delivery([Alertmanager(f"http://127.0.0.1:{port}", instance="box:8000", refresh_s=REFRESH_S)])
    with alertmanager(tmp_path, port) as url:
        delivery.keep_active(lambda: [firing])
        _wait(lambda: active(url) == ["slo.latency.page"])
        until = time.monotonic() + 8 * REFRESH_S
        while time.monotonic() < until:
            assert active(url) == ["slo.latency.page"]
            time.sleep(0.05)
        delivery.close()
        _wait(lambda: active(url) == [])
