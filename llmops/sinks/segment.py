"""The file under the journal: opened private, grown by whole lines, set aside by rename when it is full."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeAlias

Write: TypeAlias = Callable[[int, bytes], int]
"""os.write: file descriptor and bytes, gives how many it took."""


def active_path(directory: Path, service_name: str, started_at: float, process_id: int) -> Path:
    """One file per process start: `llmops-serve-20260131T235959-4711.jsonl`."""
    return directory / f"{service_name}-{datetime.fromtimestamp(started_at, UTC):%Y%m%dT%H%M%S}-{process_id}.jsonl"


class Segment:
    """The active file and how it is replaced. Raises OSError; after one, the file still ends with a whole line.

    durable: the folder is synced too when a name in it changes, so that a new file survives a power cut.
    """

    def __init__(self, path: Path, limit_bytes: int, *, durable: bool, write: Write | None = None) -> None:
        self._path = path
        self._limit_bytes = limit_bytes
        self._durable = durable
        self._write = write or os.write
        self._fd: int | None = None
        self._size_bytes = 0
        self._torn = False

    def append(self, line: bytes) -> None:
        """Write all of `line` or none of it."""
        if self._torn or (self._size_bytes and self._size_bytes + len(line) > self._limit_bytes):
            self._set_aside()
        fd = self._fd if self._fd is not None else self._open()
        try:
            written = self._write(fd, line)
            if written < len(line):  # the disk is full, or nearly: a second try gives the reason
                written += self._write(fd, line[written:])
            if written < len(line):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        except OSError:
            self._cut_back(fd)
            raise
        self._size_bytes += len(line)

    def sync(self) -> None:
        """Force what was written to disk."""
        if self._fd is not None:
            os.fdatasync(self._fd)

    def notice_removal(self) -> None:
        """Let go of a file that was removed by hand, so that the next line starts a new one."""
        if self._fd is not None and os.fstat(self._fd).st_nlink == 0:
            self.close()

    def close(self) -> None:
        """Let go of the active file. Idempotent."""
        if self._fd is not None:
            fd, self._fd, self._size_bytes = self._fd, None, 0
            with contextlib.suppress(OSError):
                os.close(fd)

    def _open(self) -> int:
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with contextlib.suppress(FileNotFoundError):  # a process of the same name and second left one: in containers
            if self._path.stat().st_size:
                self._path.rename(self._next_aside())
        fd = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        self._fd, self._size_bytes = fd, 0
        self._sync_folder()
        return fd

    def _set_aside(self) -> None:
        """Rename first, then let go: when the rename fails the file goes on being written."""
        with contextlib.suppress(FileNotFoundError):
            self._path.rename(self._next_aside())
        if self._durable:
            with contextlib.suppress(OSError):  # what it holds is out of our hands now; new lines matter more
                self.sync()
        self.close()
        self._torn = False

    def _next_aside(self) -> Path:
        """`….0001.jsonl` and up; sorts before the active file."""
        number = 1
        while (path := self._path.with_suffix(f".{number:04d}.jsonl")).exists():
            number += 1
        return path

    def _cut_back(self, fd: int) -> None:
        """Take back the part of a line that was written; where even that fails, the next line starts a new file."""
        try:
            os.ftruncate(fd, self._size_bytes)
        except OSError:
            self._torn = True

    def _sync_folder(self) -> None:
        if not self._durable:
            return
        with contextlib.suppress(OSError):  # some network file systems cannot
            folder = os.open(self._path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)
