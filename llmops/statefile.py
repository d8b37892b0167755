"""A small file of the state directory that one program changes and another follows."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TypeAlias

from llmops.state import files

Look: TypeAlias = tuple[int, ...] | None
"""What tells one content of the file from the next; None where there is no file."""


class StateFile:
    """Readable by its owner only, replaced as a whole, changed by one at a time."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def look(self) -> Look:
        """One `stat`, of a link itself."""
        try:
            found = self.path.lstat()
        except OSError:
            return None
        return found.st_mtime_ns, found.st_ino, found.st_size, found.st_mode, found.st_uid

    def read(self) -> str | None:
        """Its text; None where there is no file. Raises OSError, UnusableFile among them, or UnicodeDecodeError."""
        try:
            return files.read_private(self.path, secret=True).decode("utf-8")
        except FileNotFoundError:
            return None

    def replace(self, text: str) -> None:
        """Write it beside, force it to disk, put it in place. Raises OSError."""
        files.replace(self.path, text.encode())

    @contextlib.contextmanager
    def alone(self) -> Iterator[None]:
        """Two who change it at once take turns, so that neither undoes the other. Raises OSError."""
        self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        lock = files.open_private(self.path.with_suffix(".lock"), os.O_RDWR | os.O_CREAT)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
        finally:
            os.close(lock)
