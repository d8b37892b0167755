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

FILE = "dead-letters.jsonl"


class DeadLetters:
    """Appends each refused line once, known by its place in the journal."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._known: set[tuple[str, int]] | None = None

    def keep(self, batch: Batch, refused: Sequence[tuple[Line, str]], now: float) -> int:
        """Write down these lines of the batch with their reasons, durably. Returns how many are new."""
        if self._known is None:
            self._known = self._load()
        fresh = [(line, reason) for line, reason in refused if (batch.file, line.offset) not in self._known]
        if fresh:
            self._append(b"".join(_entry(batch, line, reason, now) for line, reason in fresh))
            self._known.update((batch.file, line.offset) for line, _ in fresh)
        return len(fresh)

    def _load(self) -> set[tuple[str, int]]:
        """The places that are kept; a line that a crash tore is cut off."""
        with contextlib.suppress(FileNotFoundError):
            content = self._path.read_bytes()
            whole = content.rfind(b"\n") + 1
            if whole < len(content):
                os.truncate(self._path, whole)
        return {(str(entry["file"]), int(entry["offset"])) for entry in read_dead_letters(self._path)}

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
