from __future__ import annotations

import contextlib
import errno
import io
import json
import os
import resource
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmops.events import RequestEvent
from llmops.sinks import open_bus
from tests.sinks.crashing_disk import CrashingDisk
from tests.sinks.disks import Clock, Disk, journal_in, numbers_in


def test_on_a_full_disk_documents_wait_and_no_line_is_torn(tmp_path: Path) -> None:
    disk, clock = Disk(20), Clock()
    journal = journal_in(tmp_path, write=disk.write, clock=clock)
    journal.write([{"n": number} for number in range(5)])
    assert (numbers_in(tmp_path), journal.waiting, journal.lost) == ([0, 1], 3, 0)
    disk.room_bytes = 1000
    journal.append({"n": 5})
    assert journal.waiting == 4, "not tried again before its time"
    clock.now = 1.0
    journal.tick()
    assert (numbers_in(tmp_path), journal.waiting, journal.lost) == (list(range(6)), 0, 0)
    journal.close()


def test_what_no_longer_fits_in_memory_is_counted(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    journal = journal_in(tmp_path, write=Disk(0).write, waiting_bytes=30)
    journal.write([{"n": number} for number in range(5)])
    assert (journal.waiting, journal.lost) == (3, 2)
    journal.close()
    assert journal.lost == 5
    journal.append({"n": 9})
    assert journal.lost == 6
    assert [record.levelname for record in caplog.records] == ["ERROR", "ERROR"]


def test_when_even_cutting_back_fails_a_new_file_holds_all_that_was_not_safe_yet(tmp_path: Path) -> None:
    clock, calls = Clock(), [0]

    def write(fd: int, data: bytes) -> int:
        calls[0] += 1
        if calls[0] == 2:
            os.write(fd, data[:3])
            with Path(os.devnull).open() as read_only:
                os.dup2(read_only.fileno(), fd)  # ftruncate on it fails from here on
            raise OSError(errno.EIO, "Input/output error")
        return os.write(fd, data)

    journal = journal_in(tmp_path, write=write, clock=clock)
    journal.append({"n": 0})
    journal.append({"n": 1})
    clock.now = 1.0
    journal.append({"n": 2})
    journal.close()
    assert [path.read_bytes() for path in sorted(tmp_path.iterdir())] == [
        b'{"n":0}\n{"n',
        b'{"n":0}\n{"n":1}\n{"n":2}\n',
    ]


@contextlib.contextmanager
def _largest_file(limit_bytes: int) -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_limit_of_the_kernel_in_the_middle_of_a_line_is_survived(tmp_path: Path) -> None:
    clock = Clock()
    journal = journal_in(tmp_path, clock=clock)
    with _largest_file(20):
        journal.write([{"n": number} for number in range(5)])
        assert (numbers_in(tmp_path), journal.waiting) == ([0, 1], 3)
    clock.now = 1.0
    journal.tick()
    journal.close()
    assert numbers_in(tmp_path) == list(range(5))


def test_a_folder_that_cannot_be_made_is_tried_again(tmp_path: Path) -> None:
    clock, folder = Clock(), tmp_path / "journal"
    folder.write_text("a file stands in the way")
    journal = journal_in(folder, clock=clock)
    journal.append({"n": 1})
    assert journal.waiting == 1
    folder.unlink()
    clock.now = 1.0
    journal.tick()
    journal.close()
    assert numbers_in(folder) == [1]


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(0, 60), min_size=1, max_size=20))
def test_however_the_disk_comes_and_goes_lines_stay_whole_and_in_order(
    tmp_path_factory: pytest.TempPathFactory, room: list[int]
) -> None:
    folder, disk, clock = tmp_path_factory.mktemp("j"), Disk(0), Clock()
    journal = journal_in(folder, write=disk.write, clock=clock, segment_bytes=50, fsync="none")
    for number, room_bytes in enumerate(room):
        disk.room_bytes = room_bytes
        clock.now += 0.6
        journal.append({"n": number})
        assert numbers_in(folder) == list(range(number + 1 - journal.waiting))
    disk.room_bytes = 10_000
    journal.close()
    assert numbers_in(folder) == list(range(len(room)))


def test_what_cannot_be_forced_to_disk_is_taken_back_and_written_again(tmp_path: Path) -> None:
    disk, clock = CrashingDisk(), Clock()
    journal = journal_in(tmp_path, write=disk.write, sync=disk.sync, clock=clock, fsync="always")
    journal.append({"event.id": "0", "n": 0})
    disk.sync_fails = True
    journal.write([{"event.id": "1", "n": 1}, {"event.id": "2", "n": 2}])
    assert (numbers_in(tmp_path), journal.waiting, journal.trouble) == ([0], 2, "Input/output error")
    disk.sync_fails, clock.now = False, 1.0
    journal.tick()
    assert (numbers_in(tmp_path), journal.waiting, journal.trouble) == ([0, 1, 2], 0, None)
    assert disk.acknowledged == {"0", "1", "2"}
    journal.close()


def test_a_flood_is_forced_to_disk_before_its_interval_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("llmops.sinks.journal._UNSYNCED_BYTES", 100)
    disk = CrashingDisk()
    journal = journal_in(tmp_path, write=disk.write, sync=disk.sync, clock=Clock(), fsync="interval")
    journal.write([{"event.id": str(number), "n": number} for number in range(10)])
    assert len(disk.acknowledged) >= 5
    journal.close()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A real file system of 64 KiB."""
    folder = tmp_path / "small"
    folder.mkdir()
    if not remounted(folder, "size=64k"):
        pytest.skip("only root can mount the small disk of this test")
    yield folder
    subprocess.run(["umount", "-l", folder], check=True)


def remounted(folder: Path, options: str) -> bool:
    again = "remount," if folder.is_mount() else ""
    mount = ["mount", "-t", "tmpfs", "-o", again + options, "llmops-test", str(folder)]
    return subprocess.run(mount, capture_output=True, check=False).returncode == 0


def test_a_small_disk_fills_and_the_bus_never_waits_for_it(small_disk: Path) -> None:
    bus = open_bus(
        service_name="s", instance_id="i", journal_directory=small_disk, log_level="ERROR", stream=io.StringIO()
    )
    slowest_s = 0.0
    for number in range(300):
        began = time.perf_counter()
        bus.emit(RequestEvent(at=1.0, request_id=f"r{number}"))
        slowest_s = max(slowest_s, time.perf_counter() - began)
        time.sleep(0.001)
    until(lambda: bus.trouble == "No space left on device")
    assert slowest_s < 0.1
    assert 0 < bus.waiting < 300
    assert all(path.read_bytes().endswith(b"}\n") for path in small_disk.iterdir())
    assert remounted(small_disk, "size=4m")
    until(lambda: bus.trouble is None and bus.waiting == 0)
    assert bus.close()
    assert bus.lost == 0
    (path,) = small_disk.iterdir()
    written = [json.loads(line)["http.request.id"] for line in path.read_text().splitlines()]
    assert written == [f"r{number}" for number in range(300)]


def test_a_read_only_disk_is_waited_for(small_disk: Path) -> None:
    assert remounted(small_disk, "ro")
    clock = Clock()
    journal = journal_in(small_disk / "journal", clock=clock)
    journal.write([{"n": number} for number in range(3)])
    assert (journal.waiting, journal.trouble) == (3, "Read-only file system")
    assert remounted(small_disk, "rw")
    clock.now = 1.0
    journal.tick()
    journal.close()
    assert numbers_in(small_disk / "journal") == [0, 1, 2]


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)
