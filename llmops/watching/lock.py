"""One watch per state directory: two would index and tell everything twice."""

from __future__ import annotations

from pathlib import Path

from llmops.lockfile import Held, LockFile


class AlreadyWatched(Exception):
    """Another watch holds this state directory; the sentence says which process."""

    slug = "already_watched"


class WatchLock(LockFile):
    """Held as long as the process lives."""

    def __init__(self, path: Path) -> None:
        try:
            super().__init__(path)
        except Held as error:
            raise AlreadyWatched(
                f"Process {error.holder} watches {path.parent} already: stop it first, or use another state directory."
            ) from None
