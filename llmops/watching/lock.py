"""One watch per state directory: two would index and tell everything twice."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path


class AlreadyWatched(Exception):
    """Another watch holds this state directory; the sentence says which process."""

    slug = "already_watched"


class WatchLock:
    """Held as long as the process lives: the kernel lets go of it even after a kill."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            holder = os.read(self._file, 32).decode("ascii", "replace").strip() or "unknown"
            os.close(self._file)
            raise AlreadyWatched(
                f"Process {holder} watches {path.parent} already: stop it first, or use another state directory."
            ) from None
        os.ftruncate(self._file, 0)
        os.pwrite(self._file, str(os.getpid()).encode(), 0)

    def release(self) -> None:
        """Let the next one in. The file stays: removing it would let two in at once."""
        os.close(self._file)
