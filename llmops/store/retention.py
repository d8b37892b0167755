"""Keeps the journal on disk within its bounds: what everybody has read goes first, the rest only at the hard cap."""

from __future__ import annotations

import dataclasses
import json
import logging
import sqlite3
from collections.abc import Mapping, Sequence
from pathlib import Path

from llmops.state.files import read_private
from llmops.store.contract import Store
from llmops.store.errors import StoreUnavailable
from llmops.store.segments import SegmentFile, first_event_id, is_written, segment_files, whole_bytes

_STATE = "journal.retention"
_log = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Trimmed:
    """The journal after one look: `removed` files went, with `lost` events in them that somebody had not read."""

    size_bytes: int = 0
    removed: int = 0
    lost: int = 0


@dataclasses.dataclass(frozen=True, slots=True)
class _Candidate:
    """A file that nobody writes, and how far all readers have it."""

    file: SegmentFile
    whole_bytes: int
    read_bytes: int

    @property
    def is_read(self) -> bool:
        return self.read_bytes >= self.whole_bytes


class Retention:
    """Removes the oldest files: beyond `keep_bytes` those that the store and the shipper have whole, beyond
    `max_bytes` any. Never one that a living process writes, and never one without an event: that is no journal.

    `shipped` is the shipper's checkpoint; where that file exists, the shipper is a reader.
    """

    def __init__(self, folder: Path, store: Store, *, keep_bytes: int, max_bytes: int, shipped: Path) -> None:
        self._folder = folder
        self._store = store
        self._keep_bytes = keep_bytes
        self._max_bytes = max_bytes
        self._shipped = shipped
        self._has_complained = False

    def trim(self) -> Trimmed:
        """One look; costs a stat a file while the journal is small enough. A file that cannot be read is left alone."""
        files = segment_files(self._folder)
        size_bytes = sum(file.size_bytes for file in files)
        going: list[_Candidate] = []
        if size_bytes > self._keep_bytes:
            shipped = self._read_shipped()
            candidates = [found for file in files if (found := self._candidate(file, shipped)) is not None]
            going = _oldest(candidates, size_bytes, self._keep_bytes, self._max_bytes)
        if not going:
            return Trimmed(size_bytes=size_bytes)
        self._make_safe([each.file.path.name for each in going])
        lost = sum(_remove(each) for each in going)
        size_bytes -= sum(each.file.size_bytes for each in going)
        return Trimmed(size_bytes=size_bytes, removed=len(going), lost=lost)

    def _make_safe(self, names: list[str]) -> None:
        """A state is forced to disk, and with it all that was recorded before: only then may files go."""
        try:
            self._store.save_state(_STATE, {"removing": names})
        except (sqlite3.Error, StoreUnavailable) as error:  # a full disk: these files are what it is full of
            _log.warning("removing old files of the journal without a word in the store: %s", error)

    def _candidate(self, file: SegmentFile, shipped: Mapping[str, int] | None) -> _Candidate | None:
        try:
            with file.path.open("rb") as opened:
                first = None if is_written(opened) else first_event_id(opened)
                if first is None:
                    return None
                read_bytes = self._store.checkpoint(first)
                if shipped is not None:
                    read_bytes = min(read_bytes, shipped.get(first, 0))
                return _Candidate(file, whole_bytes(opened), read_bytes)
        except OSError as error:
            _log.warning("journal file %s cannot be read and is kept: %s", file.path.name, error)
            return None

    def _read_shipped(self) -> Mapping[str, int] | None:
        """How far the shipper has each file; None where nothing is shipped. Damaged: as if it had nothing yet."""
        try:
            files = json.loads(read_private(self._shipped))["files"]
            shipped = {str(first): int(size_bytes) for first, size_bytes in files.items()}
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError, OverflowError) as error:
            if not self._has_complained:
                _log.warning("%s cannot be read (%s): nothing counts as shipped until it can.", self._shipped, error)
            self._has_complained = True
            return {}
        self._has_complained = False
        return shipped


def _oldest(candidates: Sequence[_Candidate], size_bytes: int, keep_bytes: int, max_bytes: int) -> list[_Candidate]:
    """What must go, in that order: read files down to the soft bound, then any down to the hard cap."""
    going: list[_Candidate] = []
    for bound_bytes, among in (
        (keep_bytes, [each for each in candidates if each.is_read]),
        (max_bytes, [each for each in candidates if not each.is_read]),
    ):
        for each in among:
            if size_bytes <= bound_bytes:
                break
            going.append(each)
            size_bytes -= each.file.size_bytes
    return going


def _remove(candidate: _Candidate) -> int:
    """Remove the file; returns how many events went with it that somebody had not read."""
    path = candidate.file.path
    try:
        unread = 0 if candidate.is_read else _lines_from(path, candidate.read_bytes)
        if path.stat().st_ino == candidate.file.inode:  # else a new process has just taken the name
            path.unlink()
    except OSError as error:
        _log.warning("journal file %s cannot be removed: %s", path.name, error)
        return 0
    if unread:
        _log.error(
            "the journal reached its hard cap (events.journal_max_bytes): %s went with %d events that not all its "
            "readers had",
            path.name,
            unread,
        )
    return unread


def _lines_from(path: Path, offset: int) -> int:
    with path.open("rb") as file:
        file.seek(offset)
        return sum(chunk.count(b"\n") for chunk in iter(lambda: file.read(1 << 20), b""))
