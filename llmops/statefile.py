"""A small file of the state directory that one program changes and another follows."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TypeAlias

Look: TypeAlias = tuple[int, ...] | None
"""What tells one content of the file from the next; None where there is no file."""


class StateFile:
    """Readable by its owner only, replaced as a whole, changed by one at a time."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def look(self) -> Look:
        """One `stat`."""
        try:
            found = self.path.stat()
        except OSError:
            return None
        return found.st_mtime_ns, found.st_ino, found.st_size

    def read(self) -> str | None:
        """Its text; None where there is no file. Raises OSError or UnicodeDecodeError."""
        try:
            return self.path.read_text(encoding="utf-8")
        except FileNotFoundError:
            return None

    def replace(self, text: str) -> None:
        """Write it beside, force it to disk, put it in place. Raises OSError."""
        fresh = self.path.with_suffix(f".{os.getpid()}")
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            os.fchmod(descriptor, 0o600)
            file.write(text)
            file.flush()
            os.fsync(descriptor)
        fresh.replace(self.path)

    @contextlib.contextmanager
    def alone(self) -> Iterator[None]:
        """Two who change it at once take turns, so that neither undoes the other. Raises OSError."""
        self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with self.path.with_suffix(".lock").open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
