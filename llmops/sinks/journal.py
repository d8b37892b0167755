"""The journal: every document of this process as one line of a file, the source of truth of the whole stack."""

from __future__ import annotations

import collections
import itertools
import logging
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal, TypeAlias

from llmops.events.names import Document
from llmops.sinks.line import line_of
from llmops.sinks.segment import Segment, Sync, Write, active_path

Fsync: TypeAlias = Literal["none", "interval", "always"]

_log = logging.getLogger(__name__)
_RETRY_S = 1.0
_WAITING_BYTES = 32 << 20  # about 15,000 documents: four hours of samples, or minutes of heavy traffic
_AT_ONCE_BYTES = 64 << 10  # each call of the kernel lets go of the interpreter and has to wait for it again
_UNSYNCED_BYTES = 8 << 20  # a flood is forced to disk more often than once in an interval


class JournalFile:
    """Appends whole lines, rotates at `segment_bytes` and after `segment_age_s`, and never raises.

    While the disk is full or read-only the lines wait in memory, at most `waiting_bytes` of them, and are
    retried every second; what does not fit is counted in `lost`. `fsync`: `always` after what was given at once,
    `interval` at most `fsync_interval_s` after it was written, `none` leaves it to the kernel. A line is kept in
    memory until it is forced to disk, and written again where that fails.
    """

    def __init__(
        self,
        directory: Path,
        service_name: str,
        *,
        started_at: float,
        process_id: int,
        segment_bytes: int = 64 << 20,
        segment_age_s: float = 86400.0,
        fsync: Fsync = "interval",
        fsync_interval_s: float = 1.0,
        waiting_bytes: int = _WAITING_BYTES,
        clock: Callable[[], float] = time.monotonic,
        write: Write | None = None,
        sync: Sync | None = None,
    ) -> None:
        self.path = active_path(directory, service_name, started_at, process_id)
        self._segment = Segment(self.path, durable=fsync != "none", write=write, sync=sync)
        self._segment_bytes = segment_bytes
        self._segment_age_s = segment_age_s
        self._begun_at = 0.0
        self._fsync = fsync
        self._fsync_interval_s = fsync_interval_s
        self._waiting_capacity_bytes = waiting_bytes
        self._waiting = _Lines()
        self._unsynced = _Lines()
        self._unsynced_since = 0.0
        self._clock = clock
        self._lock = threading.Lock()
        self._retry_at: float | None = None
        self._cannot_rotate = False
        self._closed = False
        self.lost = 0
        self.trouble: str | None = None
        """Why documents wait, in the words of the kernel; None while the disk takes them."""

    @property
    def waiting(self) -> int:
        """Documents in memory that the disk has not taken."""
        return len(self._waiting.lines)

    def append(self, document: Document) -> None:
        """Write one document, or keep it for later."""
        self.write([document])

    def write(self, documents: Sequence[Document]) -> None:
        """Append all of them: the journal is a sink by itself too."""
        with self._lock:
            for document in documents:
                self._take(document)
            if not self._closed:
                self._advance()

    def write_now(self, document: Document) -> bool:
        """Append one document to the open file, and wait for nothing: no other thread, no new file, no sync. Where it
        takes more than that, False, and nothing was written."""
        if self._fsync != "interval" or not self._lock.acquire(blocking=False):
            return False
        try:
            line, now = line_of(document), self._clock()
            if not self._takes_at_once(line, now):
                return False
            self._segment.append(line)
            self._remember([line], now)
        except (ValueError, TypeError, RecursionError, OSError):  # `write` meets the same, and deals with it
            return False
        finally:
            self._lock.release()
        return True

    def _takes_at_once(self, line: bytes, now: float) -> bool:
        size_bytes, is_well = self._segment.size_bytes, not (self._closed or self._waiting.lines or self._segment.torn)
        is_young = now - self._begun_at < self._segment_age_s
        has_room = size_bytes > 0 and size_bytes + len(line) <= self._segment_bytes
        return (
            is_well
            and self._retry_at is None
            and is_young
            and has_room
            and self._unsynced.size_bytes + len(line) <= _UNSYNCED_BYTES
        )

    def tick(self) -> None:
        """Retry, sync and rotate what is due, and start a new file where the active one was removed by hand."""
        with self._lock:
            if not self._closed:
                self._advance()

    def close(self) -> None:
        """Try what waits a last time, force everything to disk, close. Idempotent."""
        with self._lock:
            if self._closed:
                return
            now, self._retry_at = self._clock(), None
            self._notice_removal()
            self._drain(now)
            self._sync(now)
            self._segment.close()
            self._closed = True
            if self.waiting:
                self.lost += self.waiting
                _log.error("the journal closes with %d documents that the disk did not take", self.waiting)

    def _take(self, document: Document) -> None:
        try:
            line = line_of(document)
        except (ValueError, TypeError, RecursionError) as error:
            self._lose(f"a document is not JSON: {error}")
            return
        if not self._closed and not self._has_room(line):
            self._advance()
        if self._closed or not self._has_room(line):
            self.lost += 1
            return
        self._waiting.add(line)

    def _has_room(self, line: bytes) -> bool:
        return self._waiting.size_bytes + len(line) <= self._waiting_capacity_bytes

    def _notice_removal(self) -> None:
        """What was not yet safe in a file that was removed by hand is written again, to the next one."""
        if self._segment.notice_removal():
            self._waiting.put_back(self._unsynced)
            self._unsynced = _Lines()

    def _advance(self) -> None:
        now, was_stuck = self._clock(), self.trouble is not None
        if self._retry_at is not None and now < self._retry_at:
            return
        self._retry_at = None
        self._notice_removal()
        self._drain(now)
        if was_stuck or self._is_sync_due(now):
            self._sync(now)
        if was_stuck and self._retry_at is None:
            self.trouble = None
            _log.warning("the journal %s is written again; %d documents were lost", self.path, self.lost)

    def _drain(self, now: float) -> None:
        """Write what waits, in order; what the disk does not take goes on waiting."""
        at_once_bytes = _AT_ONCE_BYTES
        try:
            while self._is_ready(now) and self._waiting.lines:
                if not self._segment.size_bytes:
                    self._begun_at = now
                lines = self._waiting.first(min(at_once_bytes, self._segment_bytes - self._segment.size_bytes))
                try:
                    self._segment.append(b"".join(lines))
                except OSError:
                    if len(lines) == 1:
                        raise
                    at_once_bytes = 0  # there may be room for some of them
                else:
                    self._remember([self._waiting.take() for _ in lines], now)
        except OSError as error:
            self._fail(now, "written", error)

    def _is_ready(self, now: float) -> bool:
        """The next line may be written, to a new file where the active one is full, old or torn."""
        size_bytes = self._segment.size_bytes
        coming_bytes = len(self._waiting.lines[0]) if self._waiting.lines else 0
        is_full = size_bytes + coming_bytes > self._segment_bytes or now - self._begun_at >= self._segment_age_s
        if self._segment.torn or (size_bytes and is_full):
            self._sync(now)
            if self._retry_at is None:
                self._set_aside()
        return self._retry_at is None

    def _set_aside(self) -> None:
        try:
            self._segment.set_aside()
        except OSError as error:
            if self._segment.torn:
                raise
            if not self._cannot_rotate:
                _log.warning("the journal %s cannot be rotated (%s) and goes on growing", self.path, error.strerror)
            self._cannot_rotate = True

    def _remember(self, lines: Sequence[bytes], now: float) -> None:
        """Keep lines that were written until they are safe."""
        if self._fsync == "none":
            return
        if not self._unsynced.lines:
            self._unsynced_since = now
        for line in lines:
            self._unsynced.add(line)
        if self._unsynced.size_bytes > _UNSYNCED_BYTES:
            self._sync(now)

    def _is_sync_due(self, now: float) -> bool:
        due_s = 0.0 if self._fsync == "always" else self._fsync_interval_s
        return bool(self._unsynced.lines) and now - self._unsynced_since >= due_s

    def _sync(self, now: float) -> None:
        """Force to disk what was written; where that fails it waits again, since the kernel may have dropped it."""
        if not self._unsynced.lines:
            return
        try:
            self._segment.sync()
        except OSError as error:
            self._waiting.put_back(self._unsynced)
            self._fail(now, "forced to disk", error)
        self._unsynced = _Lines()

    def _fail(self, now: float, what: str, error: OSError) -> None:
        reason = error.strerror or str(error)
        if self.trouble is None:
            _log.error("the journal %s cannot be %s: %s; documents wait in memory", self.path, what, reason)
        self.trouble = reason
        self._retry_at = now + _RETRY_S

    def _lose(self, reason: str) -> None:
        self.lost += 1
        if self.lost == 1:
            _log.error("the journal cannot take a document: %s", reason)


class _Lines:
    """Lines in order, and how long they are together."""

    def __init__(self) -> None:
        self.lines: collections.deque[bytes] = collections.deque()
        self.size_bytes = 0

    def add(self, line: bytes) -> None:
        self.lines.append(line)
        self.size_bytes += len(line)

    def first(self, size_bytes: int) -> list[bytes]:
        """As many as are no longer together, at least one."""
        found = [self.lines[0]]
        for line in itertools.islice(self.lines, 1, None):
            size_bytes -= len(found[-1])
            if len(line) > size_bytes:
                break
            found.append(line)
        return found

    def take(self) -> bytes:
        line = self.lines.popleft()
        self.size_bytes -= len(line)
        return line

    def put_back(self, others: _Lines) -> None:
        """In front of these, as they were written before them."""
        self.lines.extendleft(reversed(others.lines))
        self.size_bytes += others.size_bytes
