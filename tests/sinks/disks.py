"""A journal with the clock and the disk in the hand of the test."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path
from typing import Any

from llmops.sinks import JournalFile


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class Disk:
    """os.write that takes only so many bytes more. What was cut off a file is free again."""

    def __init__(self, room_bytes: int) -> None:
        self.room_bytes = room_bytes
        self._sizes: dict[int, int] = {}

    def write(self, fd: int, data: bytes) -> int:
        file = os.fstat(fd)
        self.room_bytes += max(0, self._sizes.get(file.st_ino, 0) - file.st_size)
        part = data[: self.room_bytes]
        self._sizes[file.st_ino] = file.st_size + len(part)
        if not part:
            raise OSError(errno.ENOSPC, "No space left on device")
        self.room_bytes -= len(part)
        return os.write(fd, part)


def journal_in(folder: Path, **options: Any) -> JournalFile:
    return JournalFile(folder, "llmops-serve", started_at=1700000000.0, process_id=42, **options)


def numbers_in(folder: Path) -> list[int]:
    """What a reader finds, segment by segment, in the order of their names."""
    lines = [line for path in sorted(folder.glob("*.jsonl")) for line in path.read_bytes().splitlines()]
    return [json.loads(line)["n"] for line in lines]
