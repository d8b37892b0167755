"""Lines of a journal as events: which are none, where they stand, and what can be saved out of one that was damaged."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator

from llmops.events import Document
from llmops.store.columns import Written, written

_BEGIN = b'{"@timestamp":'
"""Every line of a journal begins so, and no text inside one can: its quotes would have backslashes before them."""
_MOST_BEGINNINGS = 100
_decoder = json.JSONDecoder()


@dataclasses.dataclass(frozen=True, slots=True)
class Lines:
    """The events of some lines in order, and the places of what is none: byte offsets of the lines, from their start.

    A damaged line counts as bad even if events were saved out of it.
    """

    events: list[Document]
    bad: list[int]


def read_lines(chunk: bytes) -> Lines:
    """Whole lines, or one piece of a line that is too long to be an event."""
    read = Lines([], [])
    at = 0
    lines = chunk.split(b"\n")
    if not lines[-1]:
        lines.pop()
    for line in lines:
        event = event_of(line)
        if event is not None:
            read.events.append(event)
        else:
            read.bad.append(at)
            read.events.extend(event for part in salvage(line) if (event := event_of(part)) is not None)
        at += len(line) + 1
    return read


def event_of(line: bytes) -> Written | None:
    """The event that is this line; None when it is none."""
    try:
        return written(line.decode())
    except (ValueError, RecursionError):
        return None


def salvage(line: bytes) -> list[bytes]:
    """The whole events in a line that is none: between garbage, or joined because a line end was lost."""
    return list(_parts(line)) if _BEGIN in line else []


def _parts(line: bytes) -> Iterator[bytes]:
    text = line.decode("latin-1")  # a byte is a character: places in one are places in the other
    start = 0
    for _ in range(_MOST_BEGINNINGS):
        start = line.find(_BEGIN, start)
        if start < 0:
            return
        try:
            _, end = _decoder.raw_decode(text, start)
        except (ValueError, RecursionError):
            start += 1
            continue
        if event_of(line[start:end]) is not None:
            yield line[start:end]
        start = end
