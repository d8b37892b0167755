"""What is kept of a damaged line is bounded, on disk and in memory."""

from __future__ import annotations

import hashlib
import tracemalloc
from pathlib import Path

from llmops.elastic.dead_letters import DeadLetters, read_dead_letters
from llmops.elastic.journal import Batch, Line, batches
from tests.store.events import lines, request


def test_of_a_long_damaged_line_the_beginning_the_length_and_the_hash_are_kept(tmp_path: Path) -> None:
    file = tmp_path / "dead-letters.jsonl"
    raw = b"\xffgarbage" * 500_000
    line, event = Line(7, raw, fault="no event"), Line(8, b'{"x":"' + b"y" * 5000 + b'"}', event_id="e")
    batch = Batch("f", tmp_path / "j", 0, 20, (line, event))
    assert DeadLetters(file).keep(batch, [(line, "no event"), (event, "400: refused")], 0.0) == 2
    assert file.stat().st_size < 32_000
    damaged, refused = read_dead_letters(file)
    assert damaged["line"].encode("utf-8", "surrogateescape") == raw[:2048]
    assert (damaged["line.bytes"], damaged["line.sha256"]) == (len(raw), hashlib.sha256(raw).hexdigest())
    assert damaged["reason"] == f"no event; only its first 2048 of {len(raw)} bytes are kept here"
    assert (refused["line"].encode(), refused["reason"]) == (event.raw, "400: refused")


def test_a_journal_line_of_200_mb_costs_neither_its_size_in_memory_nor_in_dead_letters(tmp_path: Path) -> None:
    journal, size_bytes = tmp_path / "serve.jsonl", 200 << 20
    with journal.open("wb") as file:
        file.write(lines([request(1.0)]))
        file.write(b"x" * size_bytes + b"\n")
        file.write(lines([request(2.0)]))
    letters = DeadLetters(tmp_path / "dead-letters.jsonl")
    tracemalloc.start()
    events = 0
    for batch in batches(tmp_path, "default"):
        letters.keep(batch, [(line, line.fault) for line in batch.lines if line.fault], 0.0)
        events += sum(not line.fault for line in batch.lines)
    peak_bytes = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert events == 2
    assert peak_bytes < 50 << 20
    assert (tmp_path / "dead-letters.jsonl").stat().st_size < 1 << 20
