"""The follower reads every complete line once, whatever happens to the files."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from llmops.store import JournalFollower, MemoryStore, Progress, open_store
from tests.store.events import lines, request, write

NOW = 1_700_000_000.0


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


def ids(store: MemoryStore) -> set[str]:
    return {row.event_id for row in store.requests(limit=10_000)}


def append(path: Path, data: bytes) -> None:
    with path.open("ab") as file:
        file.write(data)


def test_what_is_appended_is_read_once(tmp_path: Path, store: MemoryStore) -> None:
    follower = JournalFollower(tmp_path, store)
    write(tmp_path / "a.jsonl", [request(NOW), request(NOW)])
    assert follower.follow().new == 2
    assert follower.follow() == Progress()
    append(tmp_path / "a.jsonl", lines([request(NOW)]))
    progress = follower.follow()
    assert (progress.new, progress.behind) == (1, False)


def test_a_folder_that_does_not_exist_is_an_empty_record(tmp_path: Path, store: MemoryStore) -> None:
    assert JournalFollower(tmp_path / "none", store).follow() == Progress()


def test_a_line_that_is_still_being_written_waits(tmp_path: Path, store: MemoryStore) -> None:
    follower = JournalFollower(tmp_path, store)
    whole = lines([request(NOW)])
    append(tmp_path / "a.jsonl", whole[:20])
    assert follower.follow() == Progress()
    append(tmp_path / "a.jsonl", whole[20:] + whole[:10])
    assert follower.follow().new == 1
    assert follower.follow().garbage == 0
    assert store.checkpoint(json.loads(whole)["event.id"]) == len(whole)


def test_a_rotated_file_is_the_same_file_under_its_new_name(tmp_path: Path, store: MemoryStore) -> None:
    follower = JournalFollower(tmp_path, store)
    write(tmp_path / "a.jsonl", [request(NOW)])
    follower.follow()
    (tmp_path / "a.jsonl").rename(tmp_path / "a.1.jsonl")
    write(tmp_path / "a.jsonl", [request(NOW)])
    progress = follower.follow()
    assert progress.new == 1
    assert progress.read_bytes == (tmp_path / "a.jsonl").stat().st_size


def test_a_new_file_that_inherits_the_inode_of_an_old_one_is_read_from_its_beginning(
    tmp_path: Path, store: MemoryStore
) -> None:
    follower = JournalFollower(tmp_path, store)
    write(tmp_path / "a.jsonl", [request(NOW)])
    follower.follow()
    (tmp_path / "a.jsonl").write_bytes(lines([request(NOW + 1)]))
    os.utime(tmp_path / "a.jsonl", (1, 1))
    assert follower.follow().new == 1


def test_a_restart_goes_on_where_the_store_stands(tmp_path: Path, store: MemoryStore) -> None:
    write(tmp_path / "a.jsonl", [request(NOW)])
    JournalFollower(tmp_path, store).follow()
    append(tmp_path / "a.jsonl", lines([request(NOW)]))
    progress = JournalFollower(tmp_path, store).follow()
    assert progress.new == 1
    assert progress.read_bytes < (tmp_path / "a.jsonl").stat().st_size


@pytest.mark.parametrize(
    "garbage",
    [
        b"\n",
        b"not json\n",
        b"[" * 100_000 + b"\n",
        b"\xff\xfe\x00\n",
        b"\x00" * 50 + b"\n",
        b'{"event.id": "x"}\n',
        b'{"@timestamp": "2026-01-01T00:00:00.000Z"}\n',
        b'{"event.id": "x", "@timestamp": "soon"}\n',
        b'{"event.id": "", "@timestamp": "2026-01-01T00:00:00.000Z"}\n',
        b"17\n",
    ],
)
def test_a_line_that_is_no_event_is_counted_skipped_and_told(
    tmp_path: Path, store: MemoryStore, caplog: pytest.LogCaptureFixture, garbage: bytes
) -> None:
    one, two = request(NOW), request(NOW)
    (tmp_path / "a.jsonl").write_bytes(lines([one]) + garbage + lines([two]))
    follower = JournalFollower(tmp_path, store)
    assert follower.follow().garbage == 1
    assert ids(store) == {one["event.id"], two["event.id"]}
    assert follower.garbage == 1
    assert f"journal file a.jsonl: the line at byte {len(lines([one]))} is no event; skipped." in caplog.text


def test_a_file_that_begins_with_garbage_is_read_once_all_the_same(tmp_path: Path, store: MemoryStore) -> None:
    (tmp_path / "a.jsonl").write_bytes(b"garbage\n" + lines([request(NOW)]))
    follower = JournalFollower(tmp_path, store)
    assert follower.follow().new == 1
    append(tmp_path / "a.jsonl", lines([request(NOW)]))
    progress = follower.follow()
    assert (progress.new, progress.garbage) == (1, 0)


def test_a_file_without_end_of_line_cannot_fill_the_memory(tmp_path: Path, store: MemoryStore) -> None:
    one, two = request(NOW), request(NOW)
    (tmp_path / "a.jsonl").write_bytes(lines([one]) + b"x" * 50_000 + b"\n" + lines([two]))
    JournalFollower(tmp_path, store, chunk_bytes=4096, line_bytes=8192).follow()
    assert ids(store) == {one["event.id"], two["event.id"]}


def test_a_line_longer_than_a_chunk_is_read(tmp_path: Path, store: MemoryStore) -> None:
    long = request(NOW, error_message="x" * 20_000)
    write(tmp_path / "a.jsonl", [long, request(NOW)])
    progress = JournalFollower(tmp_path, store, chunk_bytes=1024).follow()
    assert (progress.new, progress.garbage) == (2, 0)


def test_a_file_that_became_shorter_is_read_again(tmp_path: Path, store: MemoryStore) -> None:
    first = request(NOW)
    write(tmp_path / "a.jsonl", [first, request(NOW), request(NOW)])
    follower = JournalFollower(tmp_path, store)
    follower.follow()
    write(tmp_path / "a.jsonl", [first, request(NOW)])
    assert follower.follow().new == 1


def test_a_deleted_file_is_fine(tmp_path: Path, store: MemoryStore) -> None:
    write(tmp_path / "a.jsonl", [request(NOW)])
    follower = JournalFollower(tmp_path, store)
    follower.follow()
    (tmp_path / "a.jsonl").unlink()
    assert follower.follow() == Progress()


def test_a_folder_in_the_place_of_a_file_and_a_dead_link_stop_nothing(tmp_path: Path, store: MemoryStore) -> None:
    (tmp_path / "a.jsonl").mkdir()
    (tmp_path / "b.jsonl").symlink_to(tmp_path / "nowhere")
    write(tmp_path / "c.jsonl", [request(NOW)])
    assert JournalFollower(tmp_path, store).follow().new == 1


def test_a_long_record_is_read_in_portions(tmp_path: Path, store: MemoryStore) -> None:
    for name in "abc":
        write(tmp_path / f"{name}.jsonl", [request(NOW) for _ in range(20)])
    follower = JournalFollower(tmp_path, store, chunk_bytes=4096)
    looks = 0
    while follower.follow(max_bytes=8192).behind:
        looks += 1
    assert looks > 3
    assert len(ids(store)) == 60


def test_everything_is_read_again_when_the_store_was_lost(tmp_path: Path) -> None:
    write(tmp_path / "j" / "a.jsonl", [request(NOW)])
    store = open_store(tmp_path / "s")
    follower = JournalFollower(tmp_path / "j", store)
    assert follower.follow().new == 1
    assert follower.follow().new == 0
    for file in tmp_path.glob("s*"):
        file.unlink()
    assert follower.follow().new == 1
    store.close()


class Journals(RuleBasedStateMachine):
    """Processes write, rotate, tear and delete; the store holds each complete event that was there at a look."""

    def __init__(self) -> None:
        super().__init__()
        import tempfile

        self.temporary = tempfile.TemporaryDirectory()
        self.folder = Path(self.temporary.name)
        self.store = MemoryStore()
        self.follower = JournalFollower(self.folder, self.store, chunk_bytes=700)
        self.expected: set[str] = set()
        self.rotations = 0
        self.torn: dict[str, bytes] = {}

    def finish(self, name: str) -> bytes:
        return self.torn.pop(name, b"")

    @rule(name=st.sampled_from("ab"), count=st.integers(1, 4))
    def writes(self, name: str, count: int) -> None:
        documents = [request(NOW) for _ in range(count)]
        append(self.folder / f"{name}.jsonl", self.finish(name) + lines(documents))
        self.expected |= {each["event.id"] for each in documents}

    @rule(name=st.sampled_from("ab"), cut=st.integers(1, 300))
    def tears(self, name: str, cut: int) -> None:
        document = request(NOW)
        line = lines([document])
        append(self.folder / f"{name}.jsonl", self.finish(name) + line[:cut])
        self.torn[name] = line[cut:]
        self.expected.add(document["event.id"])

    @rule(name=st.sampled_from("ab"))
    def writes_garbage(self, name: str) -> None:
        append(self.folder / f"{name}.jsonl", self.finish(name) + b"{]\n")

    @rule(name=st.sampled_from("ab"))
    def rotates(self, name: str) -> None:
        path = self.folder / f"{name}.jsonl"
        if path.exists():
            append(path, self.finish(name))
            self.rotations += 1
            path.rename(self.folder / f"{name}.{self.rotations}.jsonl")

    @rule()
    def restarts(self) -> None:
        self.follower = JournalFollower(self.folder, self.store, chunk_bytes=700)

    @rule(max_bytes=st.integers(1, 3000))
    def looks(self, max_bytes: int) -> None:
        self.follower.follow(max_bytes)

    @precondition(lambda self: not self.torn)
    @rule()
    def catches_up_and_deletes_old_files(self) -> None:
        self.follower.follow(1 << 30)
        assert ids(self.store) == self.expected
        for path in self.folder.glob("?.?*.jsonl"):
            path.unlink()

    @invariant()
    def holds_nothing_else(self) -> None:
        assert ids(self.store) <= self.expected

    def teardown(self) -> None:
        for name in list(self.torn):
            append(self.folder / f"{name}.jsonl", self.finish(name))
        self.follower.follow(1 << 30)
        assert ids(self.store) == self.expected
        self.temporary.cleanup()


TestJournals: Any = Journals.TestCase
TestJournals.settings = settings(max_examples=40, stateful_step_count=25, deadline=None)
