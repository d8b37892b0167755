"""What the server does not take, kept with the reason: one JSON object a line, on disk before the journal is left."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from llmops.elastic.journal import Batch, Line
from llmops.events.names import timestamp
from llmops.store.segments import whole_bytes

FILE = "dead-letters.jsonl"


class DeadLetters:
    """Appends each refused line once, known by its place in the journal and its event, if it is one.

    A damaged line and the event saved from its beginning have one place.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._known: set[tuple[str, int, str]] | None = None

    def keep(self, batch: Batch, refused: Sequence[tuple[Line, str]], now: float) -> int:
        """Write down these lines of the batch with their reasons, durably. Returns how many are new."""
        if self._known is None:
            self._known = self._load()
        known = self._known
        fresh = [each for each in refused if _key(batch, each[0]) not in known]
        if fresh:
            self._append(b"".join(_entry(batch, line, reason, now) for line, reason in fresh))
            known.update(_key(batch, line) for line, _ in fresh)
        return len(fresh)

    def _load(self) -> set[tuple[str, int, str]]:
        """What is kept; a line that a crash tore is cut off."""
        with contextlib.suppress(FileNotFoundError), self._path.open("r+b") as file:
            file.truncate(whole_bytes(file))
        return {(entry["file"], entry["offset"], entry["event.id"]) for entry in read_dead_letters(self._path)}

    def _append(self, content: bytes) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        fd = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        size = os.fstat(fd).st_size
        try:
            while content:
                content = content[os.write(fd, content) :]
            os.fsync(fd)
        except OSError:
            with contextlib.suppress(OSError):
                os.ftruncate(fd, size)
            raise
        finally:
            os.close(fd)


def read_dead_letters(path: Path) -> Iterator[dict[str, Any]]:
    """Every entry: `at`, `reason`, `event.id`, `stream`, `file`, `offset`, `line`."""
    with contextlib.suppress(FileNotFoundError), path.open("rb") as file:
        for raw in file:
            with contextlib.suppress(ValueError, KeyError, TypeError):
                entry = json.loads(raw)
                yield entry | {
                    "file": str(entry["file"]),
                    "offset": int(entry["offset"]),
                    "event.id": str(entry["event.id"]),
                }


def _key(batch: Batch, line: Line) -> tuple[str, int, str]:
    return (batch.file, line.offset, line.event_id)


def _entry(batch: Batch, line: Line, reason: str, now: float) -> bytes:
    """Bytes that are no UTF-8 are kept as lone surrogates (Python's `surrogateescape`)."""
    entry = {
        "at": timestamp(now),
        "reason": reason,
        "event.id": line.event_id,
        "stream": line.stream,
        "file": batch.file,
        "offset": line.offset,
        "line": line.raw.decode("utf-8", "surrogateescape"),
    }
    return json.dumps(entry).encode("ascii") + b"\n"
