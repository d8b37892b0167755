from __future__ import annotations

import contextlib
import json
import math
import os
import signal
import stat
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any, BinaryIO

import pytest

from tests.sinks.disks import Clock, Disk, journal_in, numbers_in


def test_a_document_is_on_disk_when_append_returns(tmp_path: Path) -> None:
    journal = journal_in(tmp_path / "journal")
    journal.append({"@timestamp": "t", "message": "你好 🙂\n"})
    assert journal.path.name == "llmops-serve-20231114T221320-42.jsonl"
    assert journal.path.read_bytes() == b'{"@timestamp":"t","message":"\\u4f60\\u597d \\ud83d\\ude42\\n"}\n'
    journal.close()


def test_folder_and_files_are_private(tmp_path: Path) -> None:
    journal = journal_in(tmp_path / "state" / "journal")
    journal.append({"n": 1})
    journal.close()
    assert stat.S_IMODE(journal.path.parent.stat().st_mode) == 0o700
    assert stat.S_IMODE(journal.path.stat().st_mode) == 0o600


def test_no_file_is_made_before_there_is_something_to_write(tmp_path: Path) -> None:
    journal = journal_in(tmp_path / "journal")
    journal.tick()
    journal.close()
    journal.close()
    assert list(tmp_path.iterdir()) == []


def test_a_full_file_is_set_aside_under_a_number_and_a_new_one_goes_on(tmp_path: Path) -> None:
    journal = journal_in(tmp_path, segment_bytes=40)
    journal.write([{"n": number} for number in range(20)])
    journal.close()
    stem = "llmops-serve-20231114T221320-42"
    assert [path.name for path in sorted(tmp_path.iterdir())] == [
        *(f"{stem}.{number:04d}.jsonl" for number in range(1, 5)),
        f"{stem}.jsonl",
    ]
    assert all(path.stat().st_size <= 40 for path in tmp_path.iterdir())
    assert numbers_in(tmp_path) == list(range(20))


def test_a_line_longer_than_a_file_gets_one_for_itself(tmp_path: Path) -> None:
    journal = journal_in(tmp_path, segment_bytes=40)
    journal.write([{"n": 1}, {"n": 2, "x": "y" * 100}, {"n": 3}])
    journal.close()
    assert numbers_in(tmp_path) == [1, 2, 3]
    assert len(list(tmp_path.iterdir())) == 3


def test_a_reader_that_follows_sees_every_line_once_across_rotations(tmp_path: Path) -> None:
    journal, count = journal_in(tmp_path, segment_bytes=500), 2000
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


def test_a_file_removed_by_hand_is_made_anew(tmp_path: Path) -> None:
    journal = journal_in(tmp_path)
    journal.append({"n": 1})
    journal.path.unlink()
    journal.tick()
    journal.append({"n": 2})
    journal.close()
    assert numbers_in(tmp_path) == [1, 2], "what had not been forced to disk is written again"


def test_a_file_of_the_same_name_is_set_aside_not_continued(tmp_path: Path) -> None:
    first = journal_in(tmp_path)
    first.append({"n": 1})
    first.close()
    first.path.write_bytes(first.path.read_bytes() + b'{"n":')
    second = journal_in(tmp_path)
    second.append({"n": 2})
    second.close()
    assert second.path.read_bytes() == b'{"n":2}\n'
    assert second.path.with_suffix(".0001.jsonl").read_bytes() == b'{"n":1}\n{"n":'


@pytest.mark.parametrize("value", [math.nan, object(), {1, 2}])
def test_a_document_that_is_not_json_is_counted_and_the_next_one_is_written(tmp_path: Path, value: object) -> None:
    journal = journal_in(tmp_path)
    journal.write([{"n": value}, {"n": 2}])
    journal.close()
    assert (numbers_in(tmp_path), journal.lost) == ([2], 1)


@pytest.mark.parametrize("fsync", ["none", "interval", "always"])
def test_every_policy_writes_the_same(tmp_path: Path, fsync: Any) -> None:
    clock = Clock()
    journal = journal_in(tmp_path, fsync=fsync, clock=clock, segment_bytes=30)
    for number in range(9):
        clock.now += 0.4
        journal.append({"n": number})
    journal.close()
    assert numbers_in(tmp_path) == list(range(9))


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
    numbers = numbers_in(tmp_path)
    assert len(numbers) > 1000
    assert numbers == list(range(len(numbers)))


def test_an_old_file_is_set_aside_by_the_next_line_and_in_quiet_times_by_the_clock(tmp_path: Path) -> None:
    clock = Clock()
    journal = journal_in(tmp_path, segment_age_s=60.0, clock=clock)
    journal.append({"n": 0})
    clock.now = 59.0
    journal.append({"n": 1})
    clock.now = 61.0
    journal.append({"n": 2})
    clock.now = 120.0
    journal.tick()
    assert journal.path.exists(), "a file's age counts from its first line"
    clock.now = 121.0
    journal.tick()
    journal.tick()
    assert [path.suffixes[0] for path in sorted(tmp_path.iterdir())] == [".0001", ".0002"]
    journal.append({"n": 3})
    journal.close()
    assert numbers_in(tmp_path) == [0, 1, 2, 3]


def test_a_number_is_never_given_again_when_old_files_are_removed(tmp_path: Path) -> None:
    journal = journal_in(tmp_path, segment_bytes=10)
    journal.write([{"n": number} for number in range(3)])
    for path in tmp_path.glob("*.0*.jsonl"):
        path.unlink()
    journal.write([{"n": 3}])
    journal.close()
    assert [path.suffixes[0] for path in sorted(tmp_path.iterdir())] == [".0003", ".jsonl"]
    assert numbers_in(tmp_path) == [2, 3]


def test_a_file_that_cannot_be_renamed_goes_on_being_written_and_says_so_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    journal = journal_in(tmp_path, segment_bytes=10)
    for number in range(1, 9):
        journal.path.with_suffix(f".{number:04d}.jsonl").mkdir()
        (journal.path.with_suffix(f".{number:04d}.jsonl") / "in the way").touch()
    journal._segment._next_aside = lambda: journal.path.with_suffix(".0001.jsonl")  # type: ignore[method-assign]
    journal.write([{"n": number} for number in range(3)])
    journal.close()
    assert journal.path.read_bytes().count(b"\n") == 3
    assert caplog.text.count("cannot be rotated") == 1


def test_what_came_together_is_written_at_once_up_to_the_end_of_the_file(tmp_path: Path) -> None:
    written: list[bytes] = []

    def write(fd: int, data: bytes) -> int:
        written.append(data)
        return os.write(fd, data)

    journal = journal_in(tmp_path, write=write, segment_bytes=24)
    journal.append({"n": 0})
    journal.write([{"n": number} for number in range(1, 6)])
    journal.close()
    assert [data.count(b"\n") for data in written] == [1, 2, 3]
    assert numbers_in(tmp_path) == list(range(6))


def test_more_than_the_memory_holds_is_written_when_the_disk_takes_it(tmp_path: Path) -> None:
    journal = journal_in(tmp_path, waiting_bytes=20)
    journal.write([{"n": number} for number in range(9)])
    assert (journal.waiting, journal.lost) == (0, 0)
    journal.close()
    assert numbers_in(tmp_path) == list(range(9))


def test_a_document_is_appended_at_once_only_where_that_is_one_write_to_the_open_file(tmp_path: Path) -> None:
    clock, disk = Clock(), Disk(10_000)
    journal = journal_in(tmp_path, clock=clock, write=disk.write, segment_bytes=60, segment_age_s=100.0)
    assert not journal.write_now({"n": 0}), "there is no file yet"
    journal.append({"n": 0})
    assert journal.write_now({"n": 1})
    assert numbers_in(tmp_path) == [0, 1]
    assert not journal.write_now({"n": 2, "pad": "x" * 60}), "a new file would be due"
    assert not journal.write_now({"n": {1, 2}}), "it is no JSON"
    clock.now = 100.0
    assert not journal.write_now({"n": 2}), "the file is old"
    clock.now = 1.0
    disk.room_bytes = 3
    assert not journal.write_now({"n": 2})
    assert numbers_in(tmp_path) == [0, 1], "what was half written is cut off"
    journal.append({"n": 2})
    disk.room_bytes = 10_000
    assert not journal.write_now({"n": 3}), "an earlier one waits"
    clock.now = 3.0
    journal.tick()
    assert numbers_in(tmp_path) == [0, 1, 2]
    assert journal.write_now({"n": 3})
    journal.close()
    assert not journal.write_now({"n": 4})
    assert numbers_in(tmp_path) == [0, 1, 2, 3]
    assert journal.lost == 0


def test_a_document_that_is_to_be_forced_to_disk_or_meets_another_thread_is_not_appended_at_once(
    tmp_path: Path,
) -> None:
    always = journal_in(tmp_path / "always", fsync="always")
    always.append({"n": 0})
    assert not always.write_now({"n": 1})
    entered, leave = threading.Event(), threading.Event()

    def sync(_: int) -> None:
        entered.set()
        leave.wait(10)

    busy = journal_in(tmp_path / "busy", fsync="interval", fsync_interval_s=0.0, sync=sync)
    thread = threading.Thread(target=busy.append, args=({"n": 0},))
    thread.start()
    assert entered.wait(10)
    assert not busy.write_now({"n": 1})
    leave.set()
    thread.join()
    assert busy.write_now({"n": 1})
    busy.close()
    always.close()
    assert (numbers_in(tmp_path / "always"), numbers_in(tmp_path / "busy")) == ([0], [0, 1])


def test_what_was_appended_at_once_to_a_file_that_somebody_removes_is_written_again(tmp_path: Path) -> None:
    journal = journal_in(tmp_path, fsync="interval", fsync_interval_s=3600.0)
    journal.append({"n": 0})
    assert journal.write_now({"n": 1})
    next(tmp_path.glob("*.jsonl")).unlink()
    assert journal.write_now({"n": 2})
    journal.tick()
    assert numbers_in(tmp_path) == [0, 1, 2]
    journal.close()
