from __future__ import annotations

import contextlib
import errno
import json
import math
import os
import resource
import signal
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmops.sinks import JournalFile


class _Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class _Disk:
    """os.write that takes only so many bytes more."""

    def __init__(self, room_bytes: int) -> None:
        self.room_bytes = room_bytes

    def write(self, fd: int, data: bytes) -> int:
        part = data[: self.room_bytes]
        if not part:
            raise OSError(errno.ENOSPC, "No space left on device")
        self.room_bytes -= len(part)
        return os.write(fd, part)


def _journal(folder: Path, **options: Any) -> JournalFile:
    return JournalFile(folder, "llmops-serve", started_at=1700000000.0, process_id=42, **options)


def _numbers(folder: Path) -> list[int]:
    """What a reader finds, segment by segment, in the order of their names."""
    lines = [line for path in sorted(folder.glob("*.jsonl")) for line in path.read_bytes().splitlines()]
    return [json.loads(line)["n"] for line in lines]


def test_a_document_is_on_disk_when_append_returns(tmp_path: Path) -> None:
    journal = _journal(tmp_path / "journal")
    journal.append({"@timestamp": "t", "message": "你好 🙂\n"})
    assert journal.path.name == "llmops-serve-20231114T221320-42.jsonl"
    assert journal.path.read_bytes() == b'{"@timestamp":"t","message":"\\u4f60\\u597d \\ud83d\\ude42\\n"}\n'
    journal.close()


def test_folder_and_files_are_private(tmp_path: Path) -> None:
    journal = _journal(tmp_path / "state" / "journal")
    journal.append({"n": 1})
    journal.close()
    assert stat.S_IMODE(journal.path.parent.stat().st_mode) == 0o700
    assert stat.S_IMODE(journal.path.stat().st_mode) == 0o600


def test_no_file_is_made_before_there_is_something_to_write(tmp_path: Path) -> None:
    journal = _journal(tmp_path / "journal")
    journal.tick()
    journal.close()
    journal.close()
    assert list(tmp_path.iterdir()) == []


def test_a_full_file_is_set_aside_under_a_number_and_a_new_one_goes_on(tmp_path: Path) -> None:
    journal = _journal(tmp_path, segment_bytes=40)
    journal.write([{"n": number} for number in range(20)])
    journal.close()
    stem = "llmops-serve-20231114T221320-42"
    assert [path.name for path in sorted(tmp_path.iterdir())] == [
        *(f"{stem}.{number:04d}.jsonl" for number in range(1, 5)),
        f"{stem}.jsonl",
    ]
    assert all(path.stat().st_size <= 40 for path in tmp_path.iterdir())
    assert _numbers(tmp_path) == list(range(20))


def test_a_line_longer_than_a_file_gets_one_for_itself(tmp_path: Path) -> None:
    journal = _journal(tmp_path, segment_bytes=40)
    journal.write([{"n": 1}, {"n": 2, "x": "y" * 100}, {"n": 3}])
    journal.close()
    assert _numbers(tmp_path) == [1, 2, 3]
    assert len(list(tmp_path.iterdir())) == 3


def test_a_reader_that_follows_sees_every_line_once_across_rotations(tmp_path: Path) -> None:
    journal, count = _journal(tmp_path, segment_bytes=500), 2000
    journal.append({"n": 0})
    seen: list[int] = []
    done = threading.Event()

    def follow() -> None:
        number, rest, file = 1, b"", _segment(journal.path, 1)
        while True:
            last_look, set_aside = done.is_set(), _aside(journal.path, number).exists()
            *lines, rest = (rest + file.read()).split(b"\n")
            seen.extend(json.loads(line)["n"] for line in lines)
            if set_aside or last_look:
                file.close()
                if not set_aside:
                    return
                number += 1
                file = _segment(journal.path, number)

    reader = threading.Thread(target=follow)
    reader.start()
    for number in range(1, count):
        journal.append({"n": number})
    done.set()
    reader.join(30)
    journal.close()
    assert seen == list(range(count))


def _aside(active: Path, number: int) -> Path:
    return active.with_suffix(f".{number:04d}.jsonl")


def _segment(active: Path, number: int) -> BinaryIO:
    """The file that is, or was, the active one as the `number`th."""
    while True:
        if (path := _aside(active, number)).exists():
            return path.open("rb")
        with contextlib.suppress(FileNotFoundError):  # between the rename and the next line there is no active file
            file = active.open("rb")
            if not path.exists():
                return file
            file.close()


def test_on_a_full_disk_documents_wait_and_no_line_is_torn(tmp_path: Path) -> None:
    disk, clock = _Disk(20), _Clock()
    journal = _journal(tmp_path, write=disk.write, clock=clock)
    journal.write([{"n": number} for number in range(5)])
    assert (_numbers(tmp_path), journal.waiting, journal.lost) == ([0, 1], 3, 0)
    disk.room_bytes = 1000
    journal.append({"n": 5})
    assert journal.waiting == 4, "not tried again before its time"
    clock.now = 1.0
    journal.tick()
    assert (_numbers(tmp_path), journal.waiting, journal.lost) == (list(range(6)), 0, 0)
    journal.close()


def test_what_no_longer_fits_in_memory_is_counted(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    journal = _journal(tmp_path, write=_Disk(0).write, waiting_bytes=30)
    journal.write([{"n": number} for number in range(5)])
    assert (journal.waiting, journal.lost) == (3, 2)
    journal.close()
    assert journal.lost == 5
    journal.append({"n": 9})
    assert journal.lost == 6
    assert [record.levelname for record in caplog.records] == ["ERROR", "ERROR"]


def test_when_even_cutting_back_fails_a_new_file_holds_all_that_was_not_safe_yet(tmp_path: Path) -> None:
    clock, calls = _Clock(), [0]

    def write(fd: int, data: bytes) -> int:
        calls[0] += 1
        if calls[0] == 2:
            os.write(fd, data[:3])
            with Path(os.devnull).open() as read_only:
                os.dup2(read_only.fileno(), fd)  # ftruncate on it fails from here on
            raise OSError(errno.EIO, "Input/output error")
        return os.write(fd, data)

    journal = _journal(tmp_path, write=write, clock=clock)
    journal.write([{"n": 0}, {"n": 1}])
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
    clock = _Clock()
    journal = _journal(tmp_path, clock=clock)
    with _largest_file(20):
        journal.write([{"n": number} for number in range(5)])
        assert (_numbers(tmp_path), journal.waiting) == ([0, 1], 3)
    clock.now = 1.0
    journal.tick()
    journal.close()
    assert _numbers(tmp_path) == list(range(5))


def test_a_folder_that_cannot_be_made_is_tried_again(tmp_path: Path) -> None:
    clock, folder = _Clock(), tmp_path / "journal"
    folder.write_text("a file stands in the way")
    journal = _journal(folder, clock=clock)
    journal.append({"n": 1})
    assert journal.waiting == 1
    folder.unlink()
    clock.now = 1.0
    journal.tick()
    journal.close()
    assert _numbers(folder) == [1]


def test_a_file_removed_by_hand_is_made_anew(tmp_path: Path) -> None:
    journal = _journal(tmp_path)
    journal.append({"n": 1})
    journal.path.unlink()
    journal.tick()
    journal.append({"n": 2})
    journal.close()
    assert _numbers(tmp_path) == [2]


def test_a_file_of_the_same_name_is_set_aside_not_continued(tmp_path: Path) -> None:
    first = _journal(tmp_path)
    first.append({"n": 1})
    first.close()
    first.path.write_bytes(first.path.read_bytes() + b'{"n":')
    second = _journal(tmp_path)
    second.append({"n": 2})
    second.close()
    assert second.path.read_bytes() == b'{"n":2}\n'
    assert second.path.with_suffix(".0001.jsonl").read_bytes() == b'{"n":1}\n{"n":'


@pytest.mark.parametrize("value", [math.nan, object(), {1, 2}])
def test_a_document_that_is_not_json_is_counted_and_the_next_one_is_written(tmp_path: Path, value: object) -> None:
    journal = _journal(tmp_path)
    journal.write([{"n": value}, {"n": 2}])
    journal.close()
    assert (_numbers(tmp_path), journal.lost) == ([2], 1)


@pytest.mark.parametrize("fsync", ["none", "interval", "always"])
def test_every_policy_writes_the_same(tmp_path: Path, fsync: Any) -> None:
    clock = _Clock()
    journal = _journal(tmp_path, fsync=fsync, clock=clock, segment_bytes=30)
    for number in range(9):
        clock.now += 0.4
        journal.append({"n": number})
    journal.close()
    assert _numbers(tmp_path) == list(range(9))


def test_a_killed_writer_leaves_only_whole_lines(tmp_path: Path) -> None:
    program = (
        "import sys, pathlib\nfrom llmops.sinks import JournalFile\n"
        "j = JournalFile(pathlib.Path(sys.argv[1]), 's', started_at=0.0, process_id=1, segment_bytes=20000)\n"
        "for n in range(10**9):\n    j.append({'n': n, 'x': 'y' * 100})\n    n == 1000 and print('go', flush=True)\n"
    )
    with subprocess.Popen([sys.executable, "-c", program, str(tmp_path)], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.send_signal(signal.SIGKILL)
    for path in tmp_path.glob("*.jsonl"):
        assert path.read_bytes().endswith(b"}\n")
    numbers = _numbers(tmp_path)
    assert len(numbers) > 1000
    assert numbers == list(range(len(numbers)))


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(0, 60), min_size=1, max_size=20))
def test_however_the_disk_comes_and_goes_lines_stay_whole_and_in_order(
    tmp_path_factory: pytest.TempPathFactory, room: list[int]
) -> None:
    folder, disk, clock = tmp_path_factory.mktemp("j"), _Disk(0), _Clock()
    journal = _journal(folder, write=disk.write, clock=clock, segment_bytes=50, fsync="none")
    for number, room_bytes in enumerate(room):
        disk.room_bytes = room_bytes
        clock.now += 0.6
        journal.append({"n": number})
        assert _numbers(folder) == list(range(number + 1 - journal.waiting))
    disk.room_bytes = 10_000
    journal.close()
    assert _numbers(folder) == list(range(len(room)))
