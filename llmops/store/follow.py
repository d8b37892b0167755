"""Follows a folder of journal files into the store: every complete line once, whatever happens to the files."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

from llmops.store.contract import Checkpoint, Store
from llmops.store.lines import read_lines
from llmops.store.segments import LINE_BYTES, SegmentFile, first_event_id, segment_files

CHUNK_BYTES = 1 << 20
_log = logging.getLogger(__name__)


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
        self._finished: dict[Path, SegmentFile] = {}
        self._generation = store.generation()
        self._eventless: set[Path] = set()
        self.garbage = 0

    def follow(self, max_bytes: int = 16 << 20) -> Progress:
        """One look, oldest files first, up to about `max_bytes`. An unchanged file costs one stat."""
        self._forget_what_is_gone()
        found = segment_files(self._folder)
        self._finished = {file.path: self._finished[file.path] for file in found if file.path in self._finished}
        new = garbage = read_bytes = 0
        behind = False
        for file in found:
            if self._finished.get(file.path) == file:
                continue
            if read_bytes >= max_bytes:
                behind = True
                break
            progress = self._read_file(file.path, max_bytes - read_bytes)
            if not progress.behind:
                self._finished[file.path] = file
            new, garbage = new + progress.new, garbage + progress.garbage
            read_bytes, behind = read_bytes + progress.read_bytes, behind or progress.behind
        self.garbage += garbage
        return Progress(new=new, garbage=garbage, read_bytes=read_bytes, behind=behind)

    @property
    def is_current(self) -> bool:
        """Whether the store still is the one that the last look read into."""
        return self._store.generation() == self._generation

    def _forget_what_is_gone(self) -> None:
        """A store that began anew has nothing of what was read: every file is looked at again."""
        if (generation := self._store.generation()) != self._generation:
            self._generation = generation
            self._finished.clear()

    def _read_file(self, path: Path, max_bytes: int) -> Progress:
        try:
            with path.open("rb") as file:
                return self._read_on(path, file, max_bytes)
        except OSError as error:
            _log.warning("journal file %s cannot be read: %s", path.name, error)
            return Progress()

    def _read_on(self, path: Path, file: BinaryIO, max_bytes: int) -> Progress:
        first = first_event_id(file, self._line_bytes)
        if first is None:
            self._tell_eventless(path, file)
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
            lines = read_lines(chunk)
            new += self._store.record(lines.events, [Checkpoint(first, offset + len(chunk))])
            if lines.bad:
                _tell_bad(path, [offset + at for at in lines.bad])
            offset, read_bytes, garbage = offset + len(chunk), read_bytes + len(chunk), garbage + len(lines.bad)
        return Progress(new=new, garbage=garbage, read_bytes=read_bytes, behind=offset < size)

    def _tell_eventless(self, path: Path, file: BinaryIO) -> None:
        """Once of each file that has a line and no event: it may be somebody's notes."""
        file.seek(0)
        if path not in self._eventless and b"\n" in file.read(self._line_bytes):
            self._eventless.add(path)
            _log.warning("journal file %s: no line of it is an event; it is left alone.", path.name)

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


def _tell_bad(path: Path, offsets: Sequence[int]) -> None:
    more = f", nor are {len(offsets) - 1} after it" if len(offsets) > 1 else ""
    _log.warning("journal file %s: the line at byte %d is no event%s; skipped.", path.name, offsets[0], more)
