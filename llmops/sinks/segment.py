"""The file under the journal: opened private, grown by whole lines, set aside by rename when it is full or old."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeAlias

Write: TypeAlias = Callable[[int, bytes], int]
"""os.write: file descriptor and bytes, gives how many it took."""
Sync: TypeAlias = Callable[[int], None]
"""os.fdatasync: what was written to this file descriptor survives a power cut when it returns."""

_LOCK_TRIES, _LOCK_RETRY_S = 50, 0.01  # half a second in all


def active_path(directory: Path, service_name: str, started_at: float, process_id: int) -> Path:
    """One file per process start: `llmops-serve-20260131T235959-4711.jsonl`."""
    return directory / f"{service_name}-{datetime.fromtimestamp(started_at, UTC):%Y%m%dT%H%M%S}-{process_id}.jsonl"


class Segment:
    """The active file and how it is replaced. Raises OSError; after one, the file still ends with a whole line.

    While it is written it is locked (flock), so that whoever removes old files can tell it from what a dead process
    left, also from another container. durable: the folder is synced too when a name in it changes, so that a new
    file survives a power cut.
    """

    def __init__(self, path: Path, *, durable: bool, write: Write | None = None, sync: Sync | None = None) -> None:
        self._path = path
        self._durable = durable
        self._write = write or os.write
        self._force = sync or os.fdatasync
        self._fd: int | None = None
        self._safe_bytes = 0
        self._number = 0
        self.size_bytes = 0
        self.torn = False
        """Its end could not be taken back after a failure: it must be set aside before the next line."""

    def append(self, line: bytes) -> None:
        """Write all of `line` or none of it."""
        fd = self._fd if self._fd is not None else self._open()
        try:
            written = self._write(fd, line)
            if written < len(line):  # the disk is full, or nearly: a second try gives the reason
                written += self._write(fd, line[written:])
            if written < len(line):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        except OSError:
            self._cut_back(fd, self.size_bytes)
            raise
        self.size_bytes += len(line)

    def sync(self) -> None:
        """Force what was written to disk. When that fails the file is as it was after the last sync that did not.

        What the kernel could not write it forgets, and a second sync would call it safe: it must be written again.
        """
        if self._fd is None:
            return
        try:
            self._force(self._fd)
        except OSError:
            self._cut_back(self._fd, self._safe_bytes)
            self.size_bytes = self._safe_bytes
            raise
        self._safe_bytes = self.size_bytes

    def set_aside(self) -> None:
        """Give the file its number and let go of it. When the rename fails the file goes on being written."""
        with contextlib.suppress(FileNotFoundError):
            self._path.rename(self._next_aside())
        self.close()
        self.torn = False

    def notice_removal(self) -> bool:
        """Let go of a file that was removed by hand, so that the next line starts a new one; whether it was."""
        if self._fd is None or os.fstat(self._fd).st_nlink:
            return False
        self.close()
        return True

    def close(self) -> None:
        """Let go of the active file. Idempotent."""
        if self._fd is not None:
            fd, self._fd, self.size_bytes, self._safe_bytes = self._fd, None, 0, 0
            with contextlib.suppress(OSError):
                os.close(fd)

    def _open(self) -> int:
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with contextlib.suppress(FileNotFoundError):  # a process of the same name and second left one: in containers
            if self._path.stat().st_size:
                self._path.rename(self._next_aside())
        fd = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        with contextlib.suppress(OSError):  # some network file systems have no locks
            _lock(fd)
        self._fd = fd
        self._sync_folder()
        return fd

    def _next_aside(self) -> Path:
        """`….0001.jsonl` and up, never one again that was removed; sorts before the active file."""
        self._number += 1
        while (path := self._path.with_suffix(f".{self._number:04d}.jsonl")).exists():
            self._number += 1
        return path

    def _cut_back(self, fd: int, size_bytes: int) -> None:
        """Take back what was written beyond; where even that fails, the file is torn."""
        try:
            os.ftruncate(fd, size_bytes)
        except OSError:
            self.torn = True

    def _sync_folder(self) -> None:
        if not self._durable:
            return
        with contextlib.suppress(OSError):  # some network file systems cannot
            folder = os.open(self._path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)


def _lock(fd: int) -> None:
    """Whoever asks whether a file is written holds its lock for a moment: that moment is waited for, no longer."""
    for _ in range(_LOCK_TRIES):
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(_LOCK_RETRY_S)
        else:
            return
