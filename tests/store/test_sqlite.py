"""What only the store on disk can get wrong: files, versions, damage, several processes."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from llmops.store import Checkpoint, StoreUnreadable, open_store
from llmops.store.columns import Columns
from tests.store.events import request

NOW = 1_700_000_000.0


def test_the_file_is_private_and_in_wal_mode(tmp_path: Path) -> None:
    path = tmp_path / "state" / "llmops.sqlite"
    store = open_store(path)
    store.record([request(NOW)])
    assert path.stat().st_mode & 0o777 == 0o600
    assert all(file.stat().st_mode & 0o077 == 0 for file in path.parent.iterdir())
    with sqlite3.connect(path) as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    connection.close()
    store.close()


def test_readers_see_what_was_recorded_and_cannot_write(tmp_path: Path) -> None:
    writer = open_store(tmp_path / "s")
    reader = open_store(tmp_path / "s", read_only=True)
    writer.record([request(NOW)])
    assert reader.totals() == {"llmops.request": 1}
    with pytest.raises(sqlite3.OperationalError, match="readonly"):
        reader.record([request(NOW)])
    writer.close()
    assert reader.totals() == {"llmops.request": 1}
    reader.close()


def test_a_file_that_fails_a_reader_is_told_in_a_sentence(tmp_path: Path) -> None:
    open_store(tmp_path / "s").close()
    reader = open_store(tmp_path / "s", read_only=True)
    with closing(sqlite3.connect(tmp_path / "s")) as connection:
        connection.execute("DROP VIEW requests")
        connection.execute("ALTER TABLE event RENAME TO gone")
    with pytest.raises(StoreUnreadable, match=r"The record at .* cannot be read \(no such table"):
        reader.requests(limit=1)
    reader.close()


def test_a_reader_of_nothing_is_told_how_to_begin(tmp_path: Path) -> None:
    with pytest.raises(StoreUnreadable, match="start `llmops watch`"):
        open_store(tmp_path / "s", read_only=True)


def test_what_was_recorded_survives_a_restart(tmp_path: Path) -> None:
    first = open_store(tmp_path / "s")
    first.record([request(NOW)], [Checkpoint("f", 7)])
    first.save_state("k", [1])
    first.close()
    again = open_store(tmp_path / "s")
    assert (again.checkpoint("f"), again.load_state("k")) == (7, [1])
    again.close()


@pytest.mark.parametrize(
    "content", [b"not a database, but long enough to be looked at" * 100, b"SQLite format 3\0" * 300]
)
def test_a_damaged_file_is_set_aside(tmp_path: Path, caplog: pytest.LogCaptureFixture, content: bytes) -> None:
    path = tmp_path / "s"
    path.write_bytes(content)
    with pytest.raises(StoreUnreadable):
        open_store(path, read_only=True)
    store = open_store(path)
    assert store.record([request(NOW)]) == 1
    assert "rebuilt" in caplog.text
    store.close()


def test_damage_found_at_work_starts_a_new_file_that_readers_move_to(tmp_path: Path) -> None:
    path = tmp_path / "s"
    first = open_store(path)
    first.record([request(NOW + n) for n in range(3000)])
    first.close()
    pages = bytearray(path.read_bytes())
    pages[3 * 4096 : -20 * 4096] = os.urandom(len(pages) - 23 * 4096)
    store = open_store(path)  # the first and the last pages are whole
    reader = open_store(path, read_only=True)
    path.write_bytes(pages)
    with pytest.raises(sqlite3.DatabaseError):
        for _ in range(2):
            store.record([request(NOW)])
            store.counts(0, NOW * 2, slow_s=1.0)
            store.requests(limit=5000)
    assert store.totals() == {}
    assert store.record([request(NOW)]) == 1
    assert reader.totals() == {"llmops.request": 1}
    reader.close()
    store.close()


def test_an_empty_file_is_a_new_store(tmp_path: Path) -> None:
    (tmp_path / "s").touch(mode=0o644)
    store = open_store(tmp_path / "s")
    assert store.totals() == {}
    assert (tmp_path / "s").stat().st_mode & 0o777 == 0o600
    store.close()


def test_a_record_that_fails_leaves_nothing_behind(tmp_path: Path) -> None:
    store = open_store(tmp_path / "s")
    with pytest.raises(sqlite3.Error):
        store.record([request(NOW)], [Checkpoint("f", 1), Checkpoint("g", None)])  # type: ignore[arg-type]
    assert (store.totals(), store.checkpoint("f")) == ({}, 0)
    assert store.record([request(NOW)]) == 1
    store.close()


@pytest.mark.parametrize(
    ("question", "index"),
    [
        ("COUNTS", "eligible_time"),
        ("FIRST_TOKENS", "eligible_time"),
        ("PROBES", "event_time"),
        ("MEASURE", "event_time"),
        ("SERIES", "event_time"),
        ("OUTCOMES", "event_time"),
    ],
)
def test_questions_over_a_window_are_answered_from_an_index_alone(tmp_path: Path, question: str, index: str) -> None:
    from llmops.store import queries

    store = open_store(tmp_path / "s")
    connection = sqlite3.connect(tmp_path / "s")
    values = {"since": 0, "until": 1, "over_s": 1, "origin": 0, "width_s": 1, "synthetic": 0}
    text = queries.values_of("ttft_s") if question == "MEASURE" else getattr(queries, question)
    plan = connection.execute(f"EXPLAIN QUERY PLAN {text}", values).fetchall()
    assert f"USING COVERING INDEX {index} (" in plan[0][3]
    connection.close()
    store.close()


def test_the_columns_are_those_of_the_table(tmp_path: Path) -> None:
    store = open_store(tmp_path / "s")
    connection = sqlite3.connect(tmp_path / "s")
    names = [row[1] for row in connection.execute("PRAGMA table_info(event)")]
    assert names == ["seq", *Columns._fields]
    connection.close()
    store.close()


def test_a_writer_whose_file_was_removed_says_so_once_and_begins_a_new_one(tmp_path: Path) -> None:
    store = open_store(tmp_path / "llmops.sqlite")
    store.record([request(NOW)], [Checkpoint("f", 10)])
    before = store.generation()
    for file in tmp_path.glob("llmops.sqlite*"):
        file.unlink()
    with pytest.raises(StoreUnreadable, match="was removed: it is made anew"):
        store.record([request(NOW)])
    assert store.generation() == before + 1
    assert store.checkpoint("f") == 0, "the journal is read from the beginning"
    store.record([request(NOW + 1)])
    reader = open_store(tmp_path / "llmops.sqlite", read_only=True)
    assert reader.totals() == {"llmops.request": 1}
    reader.close()
    store.close()


def test_who_asks_for_the_generation_learns_of_a_new_file_without_an_error(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    store = open_store(tmp_path / "s")
    reader = open_store(tmp_path / "s", read_only=True)
    store.record([request(NOW)])
    before = (store.generation(), reader.generation())
    assert (store.generation(), reader.generation()) == before
    for file in tmp_path.glob("s*"):
        file.unlink()
    assert store.generation() != before[0]
    assert reader.generation() != before[1]
    assert store.totals() == reader.totals() == {}
    assert caplog.text.count("was removed") == 1
    reader.close()
    store.close()


def test_a_count_beyond_reason_is_absent_and_stops_nothing(tmp_path: Path) -> None:
    store = open_store(tmp_path / "llmops.sqlite")
    documents = [
        request(NOW, output_tokens=1 << 62),
        request(NOW, output_tokens=1 << 62),
        request(NOW, output_tokens=7),
    ]
    assert store.record(documents) == 3
    assert sum(bucket.output_tokens for bucket in store.series(NOW, NOW + 60, 60)) == 7
    store.close()
