"""A file that one process holds at a time; the kernel lets go of it even after a kill."""

from __future__ import annotations

import contextlib
import fcntl
import os
from pathlib import Path

from llmops.state.files import is_passing, open_private


class Held(Exception):
    """Another process holds the lock; `holder` is its number, or `unknown`."""

    def __init__(self, holder: str) -> None:
        super().__init__(f"Process {holder} holds the lock.")
        self.holder = holder


class LockFile:
    """Held as long as the process lives. Raises Held, or OSError where the folder of the file cannot be made.

    The folder is locked too: a full or read-only disk may refuse the file, and never the lock of a folder.
    """

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        self._file: int | None = None
        try:
            self._file = _open(path)
            self._hold()
        except BaseException:
            self.release()
            raise
        if self._file is not None:
            with contextlib.suppress(OSError):  # the number of the holder is for people
                os.ftruncate(self._file, os.pwrite(self._file, str(os.getpid()).encode(), 0))

    def release(self) -> None:
        """Let the next one in. The file stays: removing it would let two in at once."""
        for descriptor in (self._file, self._folder):
            if descriptor is not None:
                os.close(descriptor)

    def _hold(self) -> None:
        with contextlib.suppress(OSError):  # some network file systems lock no folder
            try:
                fcntl.flock(self._folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise Held(self._holder()) from None
        if self._file is not None:
            try:
                fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                raise Held(self._holder()) from None

    def _holder(self) -> str:
        if self._file is None:
            return "unknown"
        return os.pread(self._file, 32, 0).decode("ascii", "replace").strip() or "unknown"


def _open(path: Path) -> int | None:
    """The file; for reading on a read-only disk, and None where a full one has no room for it."""
    try:
        return open_private(path, os.O_RDWR | os.O_CREAT)
    except OSError as error:
        if not is_passing(error):
            raise
    try:
        return open_private(path, os.O_RDONLY)
    except FileNotFoundError:
        return None
