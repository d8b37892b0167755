"""Follows a folder of journal files into the store: every complete line once, whatever happens to the files."""

from __future__ import annotations

import dataclasses
import logging
from pathlib import Path
from typing import BinaryIO, TypeAlias

from llmops.events import Document
from llmops.store.columns import written
from llmops.store.contract import Checkpoint, Store

CHUNK_BYTES = 1 << 20
LINE_BYTES = 4 << 20
"""No event is this long: the first part of a longer line is skipped, and its rest becomes garbage of its own."""
_GARBAGE_BYTES = 16 << 20
"""A file that begins with more than this without an event is no journal."""
_log = logging.getLogger(__name__)

_Signature: TypeAlias = tuple[int, int, int]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """What one look at the folder brought. `behind`: there was more than it was allowed to read."""

    new: int = 0
    garbage: int = 0
    read_bytes: int = 0
    behind: bool = False


class JournalFollower:
    """Reads what was appended since the last look. Files are known by their first event, whatever their name."""

    def __init__(
        self, folder: Path, store: Store, *, chunk_bytes: int = CHUNK_BYTES, line_bytes: int = LINE_BYTES
    ) -> None:
        self._folder = folder
        self._store = store
        self._chunk_bytes = chunk_bytes
        self._line_bytes = line_bytes
        self._finished: dict[Path, _Signature] = {}
        self.garbage = 0

    def follow(self, max_bytes: int = 16 << 20) -> Progress:
        """One look, oldest files first, up to about `max_bytes`. An unchanged file costs one stat."""
        found = self._files()
        self._finished = {path: self._finished[path] for path in found if path in self._finished}
        new = garbage = read_bytes = 0
        behind = False
        for path, signature in found.items():
            if self._finished.get(path) == signature:
                continue
            if read_bytes >= max_bytes:
                behind = True
                break
            progress = self._read_file(path, max_bytes - read_bytes)
            if not progress.behind:
                self._finished[path] = signature
            new, garbage = new + progress.new, garbage + progress.garbage
            read_bytes, behind = read_bytes + progress.read_bytes, behind or progress.behind
        self.garbage += garbage
        return Progress(new=new, garbage=garbage, read_bytes=read_bytes, behind=behind)

    def forget(self) -> None:
        """Look at every file again: the store may have lost what it had."""
        self._finished.clear()

    def _files(self) -> dict[Path, _Signature]:
        """Journal files with what changes when they do, oldest first; one that vanishes meanwhile is left out."""
        found: dict[Path, _Signature] = {}
        for path in self._folder.glob("*.jsonl"):
            try:
                status = path.stat()
            except OSError:
                continue
            found[path] = (status.st_mtime_ns, status.st_size, status.st_ino)
        return dict(sorted(found.items(), key=lambda item: (item[1][0], item[0].name)))

    def _read_file(self, path: Path, max_bytes: int) -> Progress:
        try:
            with path.open("rb") as file:
                return self._read_on(path, file, max_bytes)
        except OSError as error:
            _log.warning("journal file %s cannot be read: %s", path.name, error)
            return Progress()

    def _read_on(self, path: Path, file: BinaryIO, max_bytes: int) -> Progress:
        first = self._first_event_id(file)
        if first is None:
            return Progress()
        size = file.seek(0, 2)
        offset = self._store.checkpoint(first)
        if offset > size:
            _log.warning("journal file %s is shorter than what was read of it: reading it again.", path.name)
            offset = 0
        new = garbage = read_bytes = 0
        while offset < size and read_bytes < max_bytes:
            chunk = self._complete_lines(file, offset)
            if not chunk:
                return Progress(new=new, garbage=garbage, read_bytes=read_bytes)
            documents, bad = _parse(chunk)
            if bad:
                _log.warning("journal file %s: %d lines at byte %d are no events; skipped.", path.name, bad, offset)
            offset, read_bytes, garbage = offset + len(chunk), read_bytes + len(chunk), garbage + bad
            new += self._store.record(documents, [Checkpoint(first, offset)])
        return Progress(new=new, garbage=garbage, read_bytes=read_bytes, behind=offset < size)

    def _first_event_id(self, file: BinaryIO) -> str | None:
        """What this file is known by: its first event, past any garbage; None while it has none."""
        while file.tell() < _GARBAGE_BYTES:
            line = file.readline(self._line_bytes)
            if not line.endswith(b"\n") and len(line) < self._line_bytes:
                return None
            document = _event(line)
            if document is not None:
                return str(document["event.id"])
        return None

    def _complete_lines(self, file: BinaryIO, offset: int) -> bytes:
        """Whole lines from there on; empty when the only line is still being written."""
        file.seek(offset)
        chunk = file.read(self._chunk_bytes)
        while (end := chunk.rfind(b"\n")) < 0 and len(chunk) < self._line_bytes:
            more = file.read(self._chunk_bytes)
            if not more:
                return b""
            chunk += more
        return chunk[: end + 1] if end >= 0 else chunk


def _parse(chunk: bytes) -> tuple[list[Document], int]:
    """The events of these lines, and how many lines are none."""
    documents: list[Document] = []
    lines = chunk.split(b"\n")
    if not lines[-1]:
        lines.pop()
    for line in lines:
        document = _event(line)
        if document is not None:
            documents.append(document)
    return documents, len(lines) - len(documents)


def _event(line: bytes) -> Document | None:
    try:
        return written(line.decode())
    except (ValueError, RecursionError):
        return None
