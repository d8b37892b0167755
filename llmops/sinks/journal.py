"""The journal: every document of this process as one line of a file, the source of truth of the whole stack."""

from __future__ import annotations

import collections
import logging
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal, TypeAlias

from llmops.events.names import Document
from llmops.sinks.line import line_of
from llmops.sinks.segment import Segment, Write, active_path

Fsync: TypeAlias = Literal["none", "interval", "always"]

_log = logging.getLogger(__name__)
_RETRY_S = 1.0
_WAITING_BYTES = 32 << 20  # about 15,000 documents: four hours of samples, or minutes of heavy traffic


class JournalFile:
    """Appends whole lines, rotates at `segment_bytes`, and never raises.

    While the disk is full or read-only the lines wait in memory, at most `waiting_bytes` of them, and are
    retried every second; what does not fit is counted in `lost`. `fsync`: `always` after each document,
    `interval` at most `fsync_interval_s` after it was written, `none` leaves it to the kernel.
    """

    def __init__(
        self,
        directory: Path,
        service_name: str,
        *,
        started_at: float,
        process_id: int,
        segment_bytes: int = 64 << 20,
        fsync: Fsync = "interval",
        fsync_interval_s: float = 1.0,
        waiting_bytes: int = _WAITING_BYTES,
        clock: Callable[[], float] = time.monotonic,
        write: Write | None = None,
    ) -> None:
        self.path = active_path(directory, service_name, started_at, process_id)
        self._segment = Segment(self.path, segment_bytes, durable=fsync != "none", write=write)
        self._fsync = fsync
        self._fsync_interval_s = fsync_interval_s
        self._waiting_capacity_bytes = waiting_bytes
        self._waiting_bytes = 0
        self._waiting: collections.deque[bytes] = collections.deque()
        self._clock = clock
        self._lock = threading.Lock()
        self._retry_at: float | None = None
        self._unsynced_since: float | None = None
        self._sync_failed = False
        self._closed = False
        self.lost = 0

    @property
    def waiting(self) -> int:
        """Documents in memory that the disk has not taken."""
        return len(self._waiting)

    def append(self, document: Document) -> None:
        """Write one document, or keep it for later."""
        with self._lock:
            try:
                line = line_of(document)
            except (ValueError, TypeError, RecursionError) as error:
                self._lose(f"a document is not JSON: {error}")
                return
            if self._closed or self._waiting_bytes + len(line) > self._waiting_capacity_bytes:
                self.lost += 1
                return
            self._waiting.append(line)
            self._waiting_bytes += len(line)
            self._advance()

    def write(self, documents: Sequence[Document]) -> None:
        """Append all of them: the journal is a sink by itself too."""
        for document in documents:
            self.append(document)

    def tick(self) -> None:
        """Retry and sync what is due, and start a new file where the active one was removed by hand."""
        with self._lock:
            if not self._closed:
                self._segment.notice_removal()
                self._advance()

    def close(self) -> None:
        """Try what waits a last time, force everything to disk, close. Idempotent."""
        with self._lock:
            if self._closed:
                return
            if self._retry_at is not None:
                self._retry_at = self._clock()
            self._advance()
            self._sync()
            self._segment.close()
            self._closed = True
            if self._waiting:
                self.lost += len(self._waiting)
                _log.error("the journal closes with %d documents that the disk did not take", len(self._waiting))

    def _advance(self) -> None:
        now = self._clock()
        if self._retry_at is None or now >= self._retry_at:
            self._drain(now)
        due_s = 0.0 if self._fsync == "always" else self._fsync_interval_s
        if self._fsync != "none" and self._unsynced_since is not None and now - self._unsynced_since >= due_s:
            self._sync()

    def _drain(self, now: float) -> None:
        while self._waiting:
            try:
                self._segment.append(self._waiting[0])
            except OSError as error:
                self._fail(now, error)
                return
            self._waiting_bytes -= len(self._waiting.popleft())
            self._unsynced_since = now if self._unsynced_since is None else self._unsynced_since
        if self._retry_at is not None:
            self._retry_at = None
            _log.warning("the journal %s is written again; %d documents were lost", self.path, self.lost)

    def _fail(self, now: float, error: OSError) -> None:
        if self._retry_at is None:
            _log.error("the journal %s cannot be written: %s; documents wait in memory", self.path, error.strerror)
        self._retry_at = now + _RETRY_S

    def _sync(self) -> None:
        self._unsynced_since = None
        try:
            self._segment.sync()
            self._sync_failed = False
        except OSError as error:
            if not self._sync_failed:
                _log.error("the journal %s cannot be forced to disk: %s", self.path, error.strerror)
            self._sync_failed = True

    def _lose(self, reason: str) -> None:
        self.lost += 1
        if self.lost == 1:
            _log.error("the journal cannot take a document: %s", reason)
