"""A record that the disk or another program keeps from its writer survives whole; only damage sets it aside."""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from llmops.store import Checkpoint, SqliteStore, StoreUnavailable, StoreUnreadable, open_store
from tests.state.disks import SmallDisk, mounted
from tests.store.events import request

HOUR = 3600.0


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[SmallDisk]:
    with mounted(tmp_path / "disk") as found:
        yield found


def filled(path: Path, *, crashed: bool = False) -> None:
    """Twenty requests; after a crash they are in the log beside the file, and the index of the log is gone."""
    child = os.fork() if crashed else 0
    if not child:
        store = open_store(path)
        store.record([request(HOUR + n, request_id=f"r{n}") for n in range(20)], [Checkpoint("f", 1)])
        if crashed:
            os._exit(0)
        store.close()
        return
    assert os.waitpid(child, 0)[1] == 0
    Path(f"{path}-shm").unlink()


def kept(path: Path) -> dict[str, bytes]:
    """The record and its log, to the byte."""
    return {each.name: each.read_bytes() for each in path.parent.glob("llmops.sqlite*") if "-shm" not in each.name}


def requests_of(path: Path) -> int:
    with contextlib.closing(open_store(path, read_only=True)) as reader:
        return len(reader.requests(limit=99))


def full(disk: SmallDisk) -> None:
    disk.fill()


def read_only(disk: SmallDisk) -> None:
    disk.read_only(True)


@pytest.mark.parametrize("crashed", [False, True])
@pytest.mark.parametrize("break_it", [full, read_only])
def test_two_starts_on_a_disk_that_takes_nothing_leave_the_record_and_its_log_as_they_were(
    disk: SmallDisk, break_it: Callable[[SmallDisk], None], crashed: bool
) -> None:
    path = disk.folder / "llmops.sqlite"
    filled(path, crashed=crashed)
    before = kept(path)
    break_it(disk)
    for _ in range(2):
        store = open_store(path)
        with pytest.raises(StoreUnavailable, match="cannot be used now"):
            store.record([request(HOUR)])
        store.close()
    assert {name: content for name, content in kept(path).items() if content} == before
    disk.read_only(False)
    disk.free()
    with contextlib.closing(open_store(path)) as store:
        assert len(store.requests(limit=99)) == 20
        assert store.record([request(HOUR + 99)]) == 1
    assert not list(disk.folder.glob("*.old*"))


def test_a_writer_that_could_not_open_its_file_works_as_soon_as_there_is_room(disk: SmallDisk) -> None:
    path = disk.folder / "llmops.sqlite"
    filled(path)
    disk.fill()
    with contextlib.closing(open_store(path, slow_s=1.0)) as store:
        assert store.generation() == 0
        with pytest.raises(StoreUnavailable):
            store.load_state("alerts")
        disk.free()
        store._retry_at = 0.0
        store.save_state("alerts", 1)
        assert (store.load_state("alerts"), len(store.requests(limit=99))) == (1, 20)


@pytest.mark.parametrize("break_it", [full, read_only])
def test_readers_read_a_record_on_a_disk_that_takes_nothing(
    disk: SmallDisk, break_it: Callable[[SmallDisk], None]
) -> None:
    path = disk.folder / "llmops.sqlite"
    filled(path)
    break_it(disk)
    with contextlib.closing(open_store(path, read_only=True)) as reader:
        assert len(reader.requests(limit=99)) == 20
        disk.read_only(False)
        disk.free()
        with contextlib.closing(open_store(path)) as writer:
            writer.record([request(HOUR + 99)])
            assert len(reader.requests(limit=99)) == 21, "it follows the writer that came later"


def test_a_file_of_a_first_start_that_had_no_room_is_used_and_not_set_aside(disk: SmallDisk) -> None:
    path = disk.folder / "llmops.sqlite"
    disk.fill()
    open_store(path).close()
    disk.free()
    with contextlib.closing(open_store(path)) as store:
        assert store.record([request(HOUR)]) == 1
    assert not list(disk.folder.glob("*.old*"))


def test_a_lock_of_another_program_is_reported_and_waited_out(tmp_path: Path) -> None:
    path = tmp_path / "llmops.sqlite"
    filled(path)
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as shell:
        shell.execute("BEGIN IMMEDIATE")
        store = open_store(path, slow_s=1.0)
        with pytest.raises(StoreUnavailable, match=r"database is locked.: end the program that holds it"):
            store.record([request(HOUR)])
        assert len(store.requests(limit=99)) == 20, "reading goes on"
        shell.execute("ROLLBACK")
        assert store.record([request(HOUR + 99)]) == 1
        store.close()
        shell.execute("PRAGMA locking_mode = EXCLUSIVE")
        shell.execute("BEGIN EXCLUSIVE")
        with pytest.raises(StoreUnreadable, match="database is locked"):
            open_store(path, read_only=True)


def damage(path: Path) -> None:
    """All pages but what the log has of them."""
    content = path.read_bytes()
    path.write_bytes(content[:100] + b"\xff" * (len(content) - 100))


def test_damaged_files_are_set_aside_with_their_logs_and_none_is_written_over(tmp_path: Path) -> None:
    path = tmp_path / "llmops.sqlite"
    names = [f"llmops.sqlite.old{end}" for end in ("", ".2", ".3", ".4", ".5")]
    written = []
    for name in names:
        filled(path)
        filled(path, crashed=True)
        damage(path)
        written.append((path.read_bytes(), Path(f"{path}-wal").read_bytes()))
        open_store(path).close()
        assert (tmp_path / name).exists()
        path.unlink()
    assert [((tmp_path / name).read_bytes(), (tmp_path / f"{name}-wal").read_bytes()) for name in names] == written
    filled(path)
    damage(path)
    before = path.read_bytes()
    with contextlib.closing(SqliteStore(path)) as store, pytest.raises(StoreUnavailable, match="5 damaged records"):
        store.totals()
    assert path.read_bytes() == before


def test_the_record_of_another_user_or_behind_a_link_is_refused(tmp_path: Path) -> None:
    path, target = tmp_path / "llmops.sqlite", tmp_path / "target"
    path.symlink_to(target)
    with pytest.raises(StoreUnreadable, match="symbolic link"):
        open_store(path)
    assert not target.exists()
    path.unlink()
    os.mkfifo(path)
    for is_read_only in (True, False):
        with pytest.raises(StoreUnreadable, match="not a regular file"):
            open_store(path, read_only=is_read_only)
