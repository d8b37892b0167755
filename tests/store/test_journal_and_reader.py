"""Writers, reader and retention together, through full disks, kills and power cuts: what was promised is read once."""

from __future__ import annotations

import random
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from llmops.events import Document
from llmops.sinks import JournalFile
from llmops.store import Checkpoint, JournalFollower, MemoryStore, Retention, journal_bytes
from tests.sinks.crashing_disk import CrashingDisk, ids_in
from tests.sinks.disks import Clock
from tests.store.events import request

NOW = 1_700_000_000.0
SEGMENT_BYTES = 5000
"""Some five events."""
CHUNK_BYTES = 2500


class Ledger(MemoryStore):
    """A store that checks what it is given: each chunk in the order of its writing."""

    def __init__(self) -> None:
        super().__init__()
        self.held: set[str] = set()
        self.number: dict[str, int] = {}

    def record(self, documents: Sequence[Document], checkpoints: Sequence[Checkpoint] = ()) -> int:
        numbers = [self.number[each["event.id"]] for each in documents]
        assert numbers == sorted(set(numbers)), "out of order, or twice in one file"
        new = super().record(documents, checkpoints)
        assert new == len({each["event.id"] for each in documents} - self.held)
        self.held |= {each["event.id"] for each in documents}
        return new


class JournalAndReader(RuleBasedStateMachine):
    """Two processes write into one folder; one reader and the retention of that folder work beside them."""

    def __init__(self) -> None:
        super().__init__()
        self.temporary = tempfile.TemporaryDirectory()
        self.folder = Path(self.temporary.name) / "journal"
        self.folder.mkdir()
        self.disk, self.clock = CrashingDisk(), Clock()
        self.store = Ledger()
        self.follower = JournalFollower(self.folder, self.store, chunk_bytes=CHUNK_BYTES)
        self.journals: dict[int, JournalFile] = {}
        self.emitted: dict[int, set[str]] = {}
        self.expected: set[str] = set()
        self.may_garble = False
        self.starts = 0
        self.damaged: set[str] = set()
        self.removed_unread: set[str] = set()
        self.has_removed = False

    @initialize(may_garble=st.booleans())
    def begins(self, may_garble: bool) -> None:
        self.may_garble = may_garble

    def journal(self, process_id: int) -> JournalFile:
        """The living one, or a new process; every third is given the name of the one before it."""
        if process_id not in self.journals:
            self.starts += 1
            self.emitted[process_id] = set()
            self.journals[process_id] = JournalFile(
                self.folder,
                "serve",
                started_at=NOW + self.starts // 3,
                process_id=process_id,
                segment_bytes=SEGMENT_BYTES,
                segment_age_s=20.0,
                fsync="always" if process_id == 1 else "interval",
                clock=self.clock,
                write=self.disk.write,
                sync=self.disk.sync,
            )
        return self.journals[process_id]

    @rule(process_id=st.sampled_from([1, 2]), count=st.integers(1, 5))
    def writes(self, process_id: int, count: int) -> None:
        for _ in range(count):
            document = request(NOW)
            self.store.number[document["event.id"]] = len(self.store.number)
            journal = self.journal(process_id)
            self.emitted[process_id].add(document["event.id"])
            journal.append(document)

    @rule(seconds=st.sampled_from([0.5, 1.5, 30.0]))
    def time_passes(self, seconds: float) -> None:
        self.clock.now += seconds
        for journal in self.journals.values():
            journal.tick()

    @rule(process_id=st.sampled_from([1, 2]), room_bytes=st.integers(0, 3000))
    def the_disk_is_full_for_a_moment(self, process_id: int, room_bytes: int) -> None:
        self.disk.room_bytes = room_bytes
        self.writes(process_id, 3)
        self.disk.room_bytes = 1 << 40

    @rule(room_bytes=st.one_of(st.integers(0, 3000), st.just(1 << 40)))
    def the_disk_has_room_for(self, room_bytes: int) -> None:
        self.disk.room_bytes = room_bytes

    @rule(fails=st.booleans())
    def the_disk_fails_to_sync(self, fails: bool) -> None:
        self.disk.sync_fails = fails

    @rule(process_id=st.sampled_from([1, 2]))
    def a_process_is_killed(self, process_id: int) -> None:
        if process_id in self.journals:
            self.journals.pop(process_id)._segment.close()  # the kernel keeps what was written, and lets go of the file
            self.expected |= self.emitted[process_id] & {event for path in self.files() for event in ids_in(path)}

    @rule(process_id=st.sampled_from([1, 2]))
    def a_process_ends(self, process_id: int) -> None:
        if process_id in self.journals:
            journal = self.journals.pop(process_id)
            journal.close()
            self.expected |= self.emitted[process_id] & (
                self.disk.acknowledged if journal.lost else self.emitted[process_id]
            )

    @rule(seed=st.integers(0, 1 << 30), count=st.integers(0, 4))
    def the_power_fails(self, seed: int, count: int) -> None:
        self.writes(2, count)
        for process_id in list(self.journals):
            self.a_process_is_killed(process_id)
        self.disk.power_cut(self.folder, random.Random(seed))
        self.expected &= self.disk.acknowledged
        self.follower = JournalFollower(self.folder, self.store, chunk_bytes=CHUNK_BYTES)

    @rule(max_bytes=st.one_of(st.integers(1, 5000), st.just(1 << 30)))
    def reads(self, max_bytes: int) -> None:
        self.follower.follow(max_bytes)

    @rule()
    def the_reader_restarts(self) -> None:
        self.follower = JournalFollower(self.folder, self.store, chunk_bytes=CHUNK_BYTES)

    @precondition(lambda self: not self.has_removed)
    @rule()
    def the_store_is_lost(self) -> None:
        number, self.store = self.store.number, Ledger()
        self.store.number = number
        self.follower = JournalFollower(self.folder, self.store, chunk_bytes=CHUNK_BYTES)

    @rule(keep_bytes=st.one_of(st.integers(1, 12_000), st.just(1)))
    def old_files_are_removed(self, keep_bytes: int) -> None:
        before = {path: ids_in(path) for path in self.files()}
        trimmed = self.retention(keep_bytes, 1 << 40).trim()
        gone = {event for path, ids in before.items() if not path.exists() for event in ids}
        assert trimmed.lost == 0
        assert gone <= self.store.held
        self.after_removal(bool(gone))

    @rule(max_bytes=st.integers(6000, 20_000))
    def the_hard_cap_is_reached(self, max_bytes: int) -> None:
        before = {path: ids_in(path) for path in self.files()}
        size_bytes = journal_bytes(self.folder)
        trimmed = self.retention(6000, max_bytes).trim()
        gone = {event for path, ids in before.items() if not path.exists() for event in ids}
        unread = gone - self.store.held
        assert trimmed.lost >= len(unread), "every lost event is counted"
        assert unread == set() or size_bytes > max_bytes
        self.removed_unread |= unread
        self.after_removal(bool(gone))

    def after_removal(self, has_removed: bool) -> None:
        assert all(journal._segment._fd is None or journal.path.exists() for journal in self.journals.values())
        self.has_removed = self.has_removed or has_removed
        self.disk.forget_removed(self.folder)

    def retention(self, keep_bytes: int, max_bytes: int) -> Retention:
        shipped = self.folder.parent / "checkpoint.json"
        return Retention(self.folder, self.store, keep_bytes=keep_bytes, max_bytes=max_bytes, shipped=shipped)

    @precondition(lambda self: self.may_garble)
    @rule(seed=st.integers(0, 1 << 30))
    def a_line_becomes_garbage(self, seed: int) -> None:
        rng = random.Random(seed)
        whole = [path for path in self.files() if ids_in(path)]
        if not whole:
            return
        path = rng.choice(whole)
        lines = path.read_bytes().split(b"\n")
        at = rng.randrange(len(lines) - 1)
        self.damaged |= set(ids_in(path)[at : at + 1]) if len(ids_in(path)) == len(lines) - 1 else set(ids_in(path))
        offset = sum(len(line) + 1 for line in lines[:at])
        with path.open("r+b") as file:
            file.seek(offset)
            file.write(rng.randbytes(len(lines[at])).replace(b"\n", b"\0"))

    def files(self) -> list[Path]:
        return sorted(self.folder.glob("*.jsonl"))

    @invariant()
    def what_a_journal_calls_safe_is_safe(self) -> None:
        for process_id, journal in self.journals.items():
            if not journal.waiting and not journal._unsynced.lines:
                assert self.emitted[process_id] <= self.disk.acknowledged | self.damaged

    @invariant()
    def no_torn_line_is_ever_read(self) -> None:
        assert self.follower.garbage == 0 or self.damaged
        assert self.store.held <= self.store.number.keys()

    def teardown(self) -> None:
        self.disk.room_bytes, self.disk.sync_fails = 1 << 40, False
        self.clock.now += 60.0
        for journal in self.journals.values():
            journal.tick()
            assert (journal.waiting, journal.lost, journal.trouble) == (0, 0, None)
        for process_id in list(self.journals):
            self.a_process_ends(process_id)
        self.follower.follow(1 << 30)
        missing = (self.disk.acknowledged | self.expected) - self.store.held
        assert missing <= self.damaged | self.removed_unread
        self.temporary.cleanup()


TestJournalAndReader: Any = JournalAndReader.TestCase
TestJournalAndReader.settings = settings(max_examples=120, stateful_step_count=40, deadline=None)
