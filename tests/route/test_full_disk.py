"""The state directory on a real file system that fills: answers go on, people are told, and nothing is lost."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from llmops.client import fetch_snapshot
from tests.notifiers.servers import receiver
from tests.route.processes import Box, until

MEBIBYTES = 4


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A real file system of 4 MiB."""
    folder = tmp_path / "state"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={MEBIBYTES}m", "llmops-test", str(folder)]
    if subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        pytest.skip("only root can mount the small disk of this test")
    yield folder
    subprocess.run(["umount", "-l", folder], check=True)


@pytest.mark.route
def test_a_full_disk_stops_no_answer_is_told_and_loses_nothing(small_disk: Path) -> None:
    ballast = small_disk / "ballast"
    with receiver(200) as hook:
        box = Box(small_disk, watch__interval_s=0.25, bench__enabled="false", watch__webhook_url=hook.url)
        fills_and_empties(box, ballast, lambda: [(each["rule_id"], each["action"]) for each in hook.bodies])
    assert len(box.documents("llmops.request")) == 41
    assert [each for each in box.alerts() if each[0] == "journal_full"] == [
        ("journal_full", "pending"),
        ("journal_full", "firing"),
        ("journal_full", "resolved"),
    ]


def fills_and_empties(box: Box, ballast: Path, told: Callable[[], list[tuple[str, str]]]) -> None:
    with box.program("up"):
        box.until_ready()
        assert box.chat().status_code == 200
        until((box.directory / "llmops.sqlite").exists, 20)
        fill(ballast)
        assert [box.chat().status_code for _ in range(40)] == [200] * 40
        until(lambda: fetch_snapshot(box.url).events_trouble, 10)
        snapshot = fetch_snapshot(box.url)
        assert snapshot.events_trouble == "No space left on device"
        assert 0 < snapshot.events_waiting < 200
        assert "No space left on device" in box.call("status").stdout
        until(lambda: ("journal_full", "firing") in told(), 15)
        ballast.unlink()
        until(lambda: fetch_snapshot(box.url).events_waiting == 0, 10)
        until(lambda: ("journal_full", "resolved") in told(), 25)
        assert fetch_snapshot(box.url).events_dropped == 0


def fill(path: Path) -> None:
    """Until the disk takes not a byte more."""
    with path.open("wb", buffering=0) as file:
        for size_bytes in (4096, 1):
            try:
                while file.write(b"x" * size_bytes):
                    pass
            except OSError:
                continue
