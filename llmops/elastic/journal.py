"""Reads the journal as raw lines with their places, for those who must know to the byte how far they are."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from llmops.elastic.errors import JournalUnread
from llmops.elastic.streams import ALERTS, stream_of
from llmops.events import Document
from llmops.store.lines import event_of, salvage
from llmops.store.segments import LINE_BYTES, first_event_id, look_at

LINES = 500
"""Lines of one batch; with BYTES the unit that is sent, and that may be in doubt after a crash."""
BYTES = 5 << 20
_CHUNK_BYTES = 1 << 20
_ID_BYTES = 512
"""Elasticsearch takes no longer `_id`."""
_NAMESPACE = re.compile(r"[a-z0-9_.]{1,100}")


@dataclasses.dataclass(frozen=True, slots=True)
class Line:
    """One line. `fault`: why it can't be sent; then the id and the stream may be empty."""

    offset: int
    raw: bytes
    event_id: str = ""
    stream: str = ""
    dataset: str = ""
    at: float = 0.0
    fault: str = ""

    @property
    def repeatable(self) -> bool:
        """An alert brings its own id, and a watch that crashed may write it again later."""
        return self.dataset == ALERTS.dataset


@dataclasses.dataclass(frozen=True, slots=True)
class Batch:
    """Whole lines of one file, which is known by the id of its first event; `end` is the byte after the last."""

    file: str
    path: Path
    start: int
    end: int
    lines: tuple[Line, ...]


def read_batch(path: Path, file: BinaryIO, first: str, offset: int, until: int, namespace: str) -> Batch | None:
    """The next whole lines from `offset`, which end at `until` or before; None when there is none."""
    chunk = _whole_lines(file, offset, until)
    if not chunk:
        return None
    lines: list[Line] = []
    at = offset
    for raw in chunk.split(b"\n") if chunk.endswith(b"\n") else [chunk]:
        if len(lines) >= LINES or (at - offset + len(raw) > BYTES and lines):
            break
        if at - offset >= len(chunk):
            break
        lines.append(read_line(raw, at, namespace))
        lines += saved_from(lines[-1], namespace)
        at += len(raw) + 1
    end = min(at, offset + len(chunk))
    return Batch(first, path, offset, end, tuple(lines))


def _whole_lines(file: BinaryIO, offset: int, until: int) -> bytes:
    file.seek(offset)
    chunk = file.read(min(_CHUNK_BYTES, until - offset))
    while (end := chunk.rfind(b"\n")) < 0 and len(chunk) < LINE_BYTES:
        more = file.read(min(_CHUNK_BYTES, until - offset - len(chunk)))
        if not more:
            return b""
        chunk += more
    return chunk[: end + 1] if end >= 0 else chunk


def read_line(raw: bytes, offset: int, namespace: str) -> Line:
    """What a line holds and where it goes; a document without a namespace goes to `namespace`."""
    document = event_of(raw)
    if document is None:
        return Line(offset, raw, fault="no event: no JSON object with event.id and @timestamp")
    event_id, at = document.event_id, document.at
    dataset = document.get("event.dataset")
    stream = stream_of(dataset)
    if stream is None:
        return Line(offset, raw, event_id, at=at, fault=f"no stream takes the event.dataset {str(dataset)[:100]!r}")
    if len(event_id.encode()) > _ID_BYTES:
        return Line(offset, raw, event_id[:_ID_BYTES], at=at, fault=f"event.id is longer than {_ID_BYTES} bytes")
    return Line(offset, raw, event_id, stream.name(_namespace(document, namespace)), stream.dataset, at)


def saved_from(line: Line, namespace: str) -> list[Line]:
    """The whole events inside a line that is none: between garbage, or joined because a line end was lost."""
    if line.event_id or not line.fault:
        return []
    return [read_line(part, line.offset + line.raw.index(part), namespace) for part in salvage(line.raw)]


def _namespace(document: Document, otherwise: str) -> str:
    named = document.get("data_stream.namespace")
    return named if isinstance(named, str) and _NAMESPACE.fullmatch(named) else otherwise


def batches(folder: Path, namespace: str) -> Iterator[Batch]:
    """The whole journal as it is now, in batches; a file that retention removes meanwhile is passed over.

    Raises JournalUnread for what can't be read, after all else.
    """
    found, unread = look_at(folder)
    for path in (segment.path for segment in found):
        try:
            with path.open("rb") as file:
                yield from _batches_of(path, file, namespace)
        except FileNotFoundError:
            continue
        except OSError as error:
            unread[path] = error.strerror or str(error)
    if unread:
        raise JournalUnread(unread)


def _batches_of(path: Path, file: BinaryIO, namespace: str) -> Iterator[Batch]:
    first = first_event_id(file)
    if first is None:
        return
    offset, until = 0, file.seek(0, 2)
    while batch := read_batch(path, file, first, offset, until, namespace):
        yield batch
        offset = batch.end
