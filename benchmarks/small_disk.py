"""A file system of a few mebibytes that a file fills and leaves, and when it was full."""

from __future__ import annotations

import contextlib
import os
import random
import subprocess
import threading
import time
from pathlib import Path
from types import TracebackType

_PIECE_BYTES = 1 << 16
_TOP_UP_S = 0.05


class SmallDisk:
    """Mounted for the length of the block where this user may; else the folder as it is, which never fills.

    `spells`: from when to when it was full, by the monotonic clock.
    """

    def __init__(self, parent: Path, mebibytes: int) -> None:
        self.folder = parent / "state"
        self.is_mounted = False
        self.spells: list[tuple[float, float]] = []
        self._mebibytes = mebibytes
        self._ballast = self.folder / "ballast"
        self._full_since: float | None = None
        self._turns: threading.Thread | None = None
        self._ended = threading.Event()

    def __enter__(self) -> SmallDisk:
        self.folder.mkdir()
        options = f"size={self._mebibytes}m,mode=700"
        command = ["mount", "-t", "tmpfs", "-o", options, "llmops-losses", str(self.folder)]
        with contextlib.suppress(FileNotFoundError):
            self.is_mounted = subprocess.run(command, capture_output=True, check=False).returncode == 0
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.end()
        if self.is_mounted:
            subprocess.run(["umount", "-l", str(self.folder)], check=True)

    def take_turns(self, rng: random.Random) -> None:
        """Fill it and empty it, a few seconds each, until `end`."""

        def run() -> None:
            while not self._ended.wait(rng.uniform(3.0, 6.0)):
                until = time.monotonic() + rng.uniform(2.0, 5.0)
                while time.monotonic() < until and not self._ended.is_set():
                    self.fill()  # again and again: the programs give back some room
                    self._ended.wait(_TOP_UP_S)
                self.empty()

        self._turns = threading.Thread(target=run, name="disk", daemon=True)
        self._turns.start()

    def end(self) -> None:
        """Leave it empty. Idempotent."""
        self._ended.set()
        if self._turns is not None:
            self._turns.join()
        self.empty()

    def fill(self) -> None:
        """Until it takes not a byte more."""
        self._full_since = self._full_since or time.monotonic()
        descriptor = os.open(self._ballast, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            for size_bytes in (_PIECE_BYTES, 1024, 1):
                with contextlib.suppress(OSError):
                    while os.write(descriptor, b"\0" * size_bytes):
                        pass
        finally:
            os.close(descriptor)

    def empty(self) -> None:
        """Room again."""
        self._ballast.unlink(missing_ok=True)
        if self._full_since is not None:
            self.spells.append((self._full_since, time.monotonic()))
            self._full_since = None
