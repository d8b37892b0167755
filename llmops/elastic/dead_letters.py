"""What the server does not take, kept with the reason: one JSON object a line, on disk before the journal is left."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from llmops.elastic.journal import Batch, Line
from llmops.events.names import timestamp
from llmops.state.files import open_private
from llmops.store.segments import whole_bytes

FILE = "dead-letters.jsonl"
KEPT_BYTES = 2048
"""Of a damaged line: enough to see what wrote it."""
_LONGEST_ENTRY_BYTES = 32 << 20
"""An event of `LINE_BYTES`, each byte of it as an escape of six characters, and what stands around it."""


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
        with contextlib.suppress(FileNotFoundError), os.fdopen(open_private(self._path, os.O_RDWR), "r+b") as file:
            file.truncate(whole_bytes(file))
        return {(entry["file"], entry["offset"], entry["event.id"]) for entry in read_dead_letters(self._path)}

    def _append(self, content: bytes) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        fd = open_private(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
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
    """Every entry: `at`, `reason`, `event.id`, `stream`, `file`, `offset`, `line`; of a damaged line that is kept in
    part `line.bytes` and `line.sha256` too. Longer lines than any entry are passed over."""
    with contextlib.suppress(FileNotFoundError), os.fdopen(open_private(path, os.O_RDONLY), "rb") as file:
        while raw := file.readline(_LONGEST_ENTRY_BYTES):
            with contextlib.suppress(ValueError, KeyError, TypeError, OverflowError, RecursionError):
                entry = json.loads(raw)
                yield entry | {
                    "file": str(entry["file"]),
                    "offset": int(entry["offset"]),
                    "event.id": str(entry["event.id"]),
                }


def _key(batch: Batch, line: Line) -> tuple[str, int, str]:
    return (batch.file, line.offset, line.event_id)


def _entry(batch: Batch, line: Line, reason: str, now: float) -> bytes:
    """An event as a whole; of a longer line that is none its beginning, its length and its SHA-256, for the rest stays
    in the journal. Bytes that are no UTF-8 are kept as lone surrogates (Python's `surrogateescape`)."""
    entry: dict[str, Any] = {
        "at": timestamp(now),
        "reason": reason,
        "event.id": line.event_id,
        "stream": line.stream,
        "file": batch.file,
        "offset": line.offset,
    }
    kept = line.raw
    if not line.event_id and len(kept) > KEPT_BYTES:
        entry |= {"line.bytes": len(kept), "line.sha256": hashlib.sha256(kept).hexdigest()}
        entry["reason"] = f"{reason}; only its first {KEPT_BYTES} of {len(kept)} bytes are kept here"
        kept = kept[:KEPT_BYTES]
    return json.dumps(entry | {"line": kept.decode("utf-8", "surrogateescape")}).encode("ascii") + b"\n"
