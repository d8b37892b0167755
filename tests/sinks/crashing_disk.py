"""A disk that fills, that fails to sync, and that forgets at a power cut what was not forced to it."""

from __future__ import annotations

import errno
import json
import random
from pathlib import Path

from tests.sinks.disks import Disk


class CrashingDisk(Disk):
    """Real files, and beside them what of each would survive. Injected into a journal as `write` and `sync`.

    `acknowledged` are the ids of the events that a sync promised to keep: these must be read exactly once.
    """

    def __init__(self, room_bytes: int = 1 << 40) -> None:
        super().__init__(room_bytes)
        self.sync_fails = False
        self.acknowledged: set[str] = set()
        self._safe_bytes: dict[int, int] = {}

    def sync(self, fd: int) -> None:
        if self.sync_fails:
            raise OSError(errno.EIO, "Input/output error")
        path = Path(f"/proc/self/fd/{fd}").readlink()
        self._safe_bytes[path.stat().st_ino] = path.stat().st_size
        self.acknowledged |= set(ids_in(path))

    def forget_removed(self, folder: Path) -> None:
        """An inode may be given to a new file, of which nothing is safe yet."""
        present = {path.stat().st_ino for path in folder.glob("*.jsonl")}
        self._safe_bytes = {inode: size for inode, size in self._safe_bytes.items() if inode in present}

    def power_cut(self, folder: Path, rng: random.Random) -> None:
        """Each file keeps what was safe, and of the rest any part, or as many zeros."""
        for path in folder.glob("*.jsonl"):
            size_bytes = path.stat().st_size
            kept = rng.randint(min(self._safe_bytes.get(path.stat().st_ino, 0), size_bytes), size_bytes)
            with path.open("r+b") as file:
                file.truncate(kept)
                if rng.random() < 0.3:
                    file.truncate(size_bytes)


def ids_in(path: Path) -> list[str]:
    """The events of a file's whole lines; lines that are none are left out."""
    found = []
    for line in path.read_bytes().split(b"\n")[:-1]:
        try:
            found.append(json.loads(line)["event.id"])
        except ValueError:
            continue
    return found
