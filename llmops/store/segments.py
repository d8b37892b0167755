"""The files of a journal folder: which there are, what each is known by, how much of it is whole, who writes it."""

from __future__ import annotations

import dataclasses
import fcntl
import os
import zlib
from pathlib import Path
from typing import BinaryIO

from llmops.store.columns import Written
from llmops.store.lines import event_of, salvage

LINE_BYTES = 4 << 20
"""No event is this long: the first part of a longer line is skipped, and its rest becomes garbage of its own."""
_GARBAGE_BYTES = 16 << 20
"""A file that begins with more than this without an event is no journal."""
_TAIL_BYTES = 1 << 16
_REPEATED = "llmops.alert"


@dataclasses.dataclass(frozen=True, slots=True)
class SegmentFile:
    """One file as it was at a look; any of the numbers changes when it is written."""

    path: Path
    changed_ns: int
    size_bytes: int
    inode: int


def segment_files(folder: Path) -> list[SegmentFile]:
    """Journal files that can be looked at, oldest first; for those who come again."""
    return look_at(folder)[0]


def look_at(folder: Path) -> tuple[list[SegmentFile], dict[Path, str]]:
    """Journal files, oldest first, and what can't even be looked at, with the reason: a link to nowhere, the folder.

    A file that vanishes meanwhile is in neither; a folder that does not exist is an empty one.
    """
    found: list[SegmentFile] = []
    unread: dict[Path, str] = {}
    try:
        paths = [path for path in folder.iterdir() if path.suffix == ".jsonl"]
    except FileNotFoundError:
        return [], {}
    except OSError as error:
        return [], {folder: error.strerror or str(error)}
    for path in paths:
        try:
            status = path.stat()
        except OSError as error:
            if path.is_symlink() or not isinstance(error, FileNotFoundError):
                unread[path] = error.strerror or str(error)
            continue
        found.append(SegmentFile(path, status.st_mtime_ns, status.st_size, status.st_ino))
    return sorted(found, key=lambda file: (file.changed_ns, file.path.name)), unread


def journal_bytes(folder: Path) -> int:
    """What the journal takes on disk."""
    return sum(file.size_bytes for file in segment_files(folder))


def first_event_id(file: BinaryIO, line_bytes: int = LINE_BYTES) -> str | None:
    """What this file is known by: its first event, past any garbage; None while it has none. Reads from the start.

    The line itself counts too where another file may begin with the same event: an alert, which a watch that crashed
    writes again under its id, and a damaged line that an event was saved out of, whose sound copy may lie beside it.
    """
    file.seek(0)
    while file.tell() < _GARBAGE_BYTES:
        line = file.readline(line_bytes)
        if not line.endswith(b"\n") and len(line) < line_bytes:
            return None
        whole = event_of(line)
        event = whole or _saved_from(line)
        if event is not None:
            ambiguous = whole is None or event.get("event.dataset") == _REPEATED
            return f"{event.event_id}/{zlib.crc32(line):08x}" if ambiguous else event.event_id
    return None


def _saved_from(line: bytes) -> Written | None:
    """The first event in a line that is none."""
    return next((event for part in salvage(line) if (event := event_of(part)) is not None), None)


def whole_bytes(file: BinaryIO) -> int:
    """Up to where the file is whole lines: what stands behind the last line end was never written to its end."""
    at = file.seek(0, os.SEEK_END)
    while at > 0:
        start = max(0, at - _TAIL_BYTES)
        file.seek(start)
        found = file.read(at - start).rfind(b"\n")
        if found >= 0:
            return start + found + 1
        at = start
    return 0


def is_written(file: BinaryIO) -> bool:
    """A living process holds this file (or nobody can tell): a writer locks its file, and the kernel unlocks it."""
    try:
        fcntl.flock(file.fileno(), fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return True
    fcntl.flock(file.fileno(), fcntl.LOCK_UN)
    return False
