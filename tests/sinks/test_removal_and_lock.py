"""The active file is removed by hand, or looked at in the moment that it is opened."""

from __future__ import annotations

import fcntl
import threading
from pathlib import Path

import pytest

from llmops.sinks import JournalFile
from llmops.sinks.segment import Segment
from llmops.store.segments import is_written


@pytest.mark.parametrize("how", ["tick", "append", "close"])
def test_lines_not_yet_safe_in_a_removed_file_are_written_to_the_next(tmp_path: Path, how: str) -> None:
    now = [0.0]
    journal = JournalFile(tmp_path, "llmops-test", started_at=0.0, process_id=1, clock=lambda: now[0])
    journal.append({"event.id": "one"})
    journal.path.unlink()
    now[0] = 2.0
    if how == "tick":
        journal.tick()
    if how == "append":
        journal.append({"event.id": "two"})
    journal.close()
    assert journal.path.read_text().startswith('{"event.id":"one"}\n')
    assert journal.lost == 0


def test_a_writer_holds_its_lock_although_somebody_looked_as_it_opened(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.touch()
    with path.open("rb") as look:
        fcntl.flock(look.fileno(), fcntl.LOCK_SH)
        threading.Timer(0.05, fcntl.flock, (look.fileno(), fcntl.LOCK_UN)).start()
        segment = Segment(path, durable=False)
        segment.append(b"{}\n")
    with path.open("rb") as again:
        assert is_written(again)
    segment.close()
