"""The journal stays within its bounds, and nothing goes that somebody still needs before it must."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from llmops.sinks import JournalFile
from llmops.store import JournalFollower, MemoryStore, Retention, Store, Trimmed, journal_bytes, open_store
from tests.store.events import lines, request, write

NOW = 1_700_000_000.0


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


def fill(folder: Path, names: str) -> int:
    """A file of ten events for each letter, in that order of age; gives the bytes of one."""
    for age, name in enumerate(names):
        path = folder / f"{name}.jsonl"
        write(path, [request(NOW, request_id=f"{name}{number}") for number in range(10)])
        os.utime(path, (NOW + age, NOW + age))
    return (folder / f"{names[0]}.jsonl").stat().st_size


def left(folder: Path) -> str:
    return "".join(sorted(path.stem for path in folder.glob("*.jsonl")))


def retention(folder: Path, store: Store, keep: int, cap: int = 1 << 40) -> Retention:
    shipped = folder.parent / "ship" / "checkpoint.json"
    return Retention(folder, store, keep_bytes=keep, max_bytes=cap, shipped=shipped)


def ship(folder: Path, shipped: dict[str, Any] | str) -> None:
    path = folder.parent / "ship" / "checkpoint.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(shipped if isinstance(shipped, str) else json.dumps({"version": 1, "files": shipped}))


def first_id(path: Path) -> str:
    return str(json.loads(path.read_bytes().split(b"\n")[0])["event.id"])


def test_the_oldest_files_that_were_read_go_first(tmp_path: Path, store: MemoryStore) -> None:
    folder = tmp_path / "journal"
    one = fill(folder, "abcde")
    JournalFollower(folder, store).follow()
    trimmed = retention(folder, store, 2 * one + 50).trim()
    assert left(folder) == "de"
    assert trimmed == Trimmed(size_bytes=journal_bytes(folder), removed=3, lost=0)
    assert retention(folder, store, 2 * one + 50).trim().removed == 0


def test_what_was_not_read_stays_beyond_the_soft_bound(tmp_path: Path, store: MemoryStore) -> None:
    folder = tmp_path / "journal"
    one = fill(folder, "abc")
    JournalFollower(folder, store, chunk_bytes=one // 2).follow(max_bytes=one + one // 2)
    assert retention(folder, store, 1).trim().removed == 1
    assert left(folder) == "bc", "of b only a part was read"


def test_at_the_hard_cap_unread_files_go_too_and_are_counted(
    tmp_path: Path, store: MemoryStore, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "journal"
    one = fill(folder, "abc")
    JournalFollower(folder, store, chunk_bytes=one // 2).follow(max_bytes=one // 2)
    has = store.totals()["llmops.request"]
    trimmed = retention(folder, store, 1, cap=2 * one + 50).trim()
    assert (left(folder), trimmed.lost) == ("bc", 10 - has)
    assert f"a.jsonl went with {10 - has} events that not all its readers had" in caplog.text


def test_a_shipper_is_a_reader_as_soon_as_it_has_a_checkpoint(tmp_path: Path, store: MemoryStore) -> None:
    folder = tmp_path / "journal"
    one = fill(folder, "abc")
    JournalFollower(folder, store).follow()
    ship(folder, {first_id(folder / "a.jsonl"): one, first_id(folder / "b.jsonl"): one - 1})
    assert retention(folder, store, 1).trim().removed == 1
    assert left(folder) == "bc"


@pytest.mark.parametrize("damaged", ["", "{", "[]", '{"files": 7}', '{"files": {"a": "x"}}'])
def test_a_damaged_checkpoint_of_the_shipper_means_that_nothing_was_shipped(
    tmp_path: Path, store: MemoryStore, damaged: str, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "journal"
    fill(folder, "ab")
    JournalFollower(folder, store).follow()
    ship(folder, damaged)
    kept = retention(folder, store, 1)
    assert (kept.trim().removed, kept.trim().removed) == (0, 0)
    assert caplog.text.count("nothing counts as shipped") == 1


def test_the_file_that_a_living_process_writes_is_never_removed(tmp_path: Path, store: MemoryStore) -> None:
    folder = tmp_path / "journal"
    journal = JournalFile(folder, "serve", started_at=NOW, process_id=1, segment_bytes=2000)
    journal.write([request(NOW) for _ in range(6)])
    JournalFollower(folder, store).follow()
    assert retention(folder, store, 1, cap=1).trim().removed == 2
    assert [path.name for path in folder.iterdir()] == [journal.path.name]
    journal.append(request(NOW))
    journal.close()
    assert JournalFollower(folder, store).follow().new == 1
    retention(folder, store, 1).trim()
    assert list(folder.iterdir()) == [], "nobody writes them now"


def test_another_process_holds_its_file_until_it_is_killed(tmp_path: Path, store: MemoryStore) -> None:
    program = (
        "import sys, pathlib\nfrom llmops.sinks import JournalFile\nfrom tests.store.events import request\n"
        "j = JournalFile(pathlib.Path(sys.argv[1]), 's', started_at=0.0, process_id=1)\n"
        "j.append(request(1.7e9))\nprint('go', flush=True)\nsys.stdin.read()\n"
    )
    arguments = [sys.executable, "-c", program, str(tmp_path / "journal")]
    with subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        JournalFollower(tmp_path / "journal", store).follow()
        assert retention(tmp_path / "journal", store, 1, cap=1).trim().removed == 0
        process.kill()
    assert retention(tmp_path / "journal", store, 1).trim().removed == 1


def test_what_a_dead_process_tore_does_not_keep_its_file(tmp_path: Path, store: MemoryStore) -> None:
    folder = tmp_path / "journal"
    fill(folder, "a")
    with (folder / "a.jsonl").open("ab") as file:
        file.write(b'{"@timestamp"' + b" " * 100_000)
    JournalFollower(folder, store).follow()
    assert retention(folder, store, 1).trim() == Trimmed(size_bytes=0, removed=1, lost=0)


def test_garbage_notes_folders_and_dead_links_stop_nothing_and_stay(tmp_path: Path, store: MemoryStore) -> None:
    folder = tmp_path / "journal"
    fill(folder, "ab")
    (folder / "notes.jsonl").write_bytes(b"mine\n" * 100)
    (folder / "empty.jsonl").touch()
    (folder / "folder.jsonl").mkdir()
    (folder / "link.jsonl").symlink_to(tmp_path / "nowhere")
    JournalFollower(folder, store).follow()
    assert retention(folder, store, 1, cap=1).trim().removed == 2
    assert {path.stem for path in folder.iterdir()} == {"notes", "empty", "folder", "link"}


def test_the_store_is_forced_to_disk_before_a_file_goes(tmp_path: Path) -> None:
    folder = tmp_path / "journal"
    fill(folder, "ab")
    store = open_store(tmp_path / "s")
    JournalFollower(folder, store).follow()
    assert retention(folder, store, 1).trim().removed == 2
    assert store.load_state("journal.retention") == {"removing": ["a.jsonl", "b.jsonl"]}
    store.close()


def test_a_store_on_a_full_disk_does_not_keep_the_files_that_fill_it(tmp_path: Path) -> None:
    folder = tmp_path / "journal"
    fill(folder, "ab")
    store = open_store(tmp_path / "s")
    JournalFollower(folder, store).follow()
    assert store._connection is not None
    store._connection.execute("PRAGMA query_only = ON")
    assert retention(folder, store, 1).trim().removed == 2
    store.close()


def test_a_file_of_one_joined_line_is_kept_until_it_was_read_and_goes_then(tmp_path: Path, store: MemoryStore) -> None:
    folder = tmp_path / "journal"
    folder.mkdir()
    (folder / "a.jsonl").write_bytes(lines([request(NOW)]).rstrip() + lines([request(NOW)]))
    assert retention(folder, store, 1).trim().removed == 0
    JournalFollower(folder, store).follow()
    assert retention(folder, store, 1).trim() == Trimmed(size_bytes=0, removed=1, lost=0)
