"""Files of every earlier layout are brought to today's; newer ones are refused; views follow the events."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from llmops.store import Checkpoint, MemoryStore, StoreUnreadable, open_store
from llmops.store.columns import Columns, columns_of
from llmops.store.rollups import can_sum
from llmops.store.schema import STEPS, VERSION, upgrade
from tests.store.events import alert, benchmark, request, sample

WITH_SUMS = 3
"""The first layout that has them."""
HOUR = 472_222 * 3600.0
DOCUMENTS = [
    *(
        request(
            HOUR + 61 * n,
            duration_s=n / 10,
            ttft_s=None if n % 5 == 0 else n / 50,
            outcome="failure" if n % 10 == 0 else "success",
            user_hash=f"u{n % 3}",
            model_version=f"v{n % 2}",
            synthetic=n % 7 == 0,
        )
        for n in range(200)
    ),
    sample(HOUR),
    alert(HOUR),
    benchmark(HOUR),
]


def written_by(version: int, path: Path) -> None:
    """The file as the program of that layout left it."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        can_sum(connection)
        upgrade(connection, version)
        there = {row[1] for row in connection.execute("PRAGMA table_info(event)")}
        names = [name for name in Columns._fields if name in there]
        for columns in map(columns_of, DOCUMENTS):
            assert columns
            values = [getattr(columns, name) for name in names]
            marks = ", ".join("?" * len(names))
            connection.execute(f"INSERT INTO event ({', '.join(names)}) VALUES ({marks})", values)
        if version >= WITH_SUMS:
            copy_sums(connection, path.with_name("today"))
        connection.execute("INSERT INTO journal VALUES ('f', 7)")
        connection.execute("INSERT INTO state VALUES ('alerts', '[1]')")


def copy_sums(connection: sqlite3.Connection, today: Path) -> None:
    """What a layout had of the sums of today's."""
    store = open_store(today)
    store.record(DOCUMENTS)
    store.close()
    connection.execute("ATTACH ? AS today", (str(today),))
    for table in ("rollup", "usage"):
        names = ", ".join(row[1] for row in connection.execute(f"PRAGMA main.table_info({table})"))
        connection.execute(f"INSERT INTO main.{table} ({names}) SELECT {names} FROM today.{table}")
    connection.execute("DETACH today")
    for file in today.parent.glob("today*"):
        file.unlink()


def answers(store: Any) -> list[Any]:
    since, until = HOUR - 10.0, HOUR + 4 * 3600 + 1
    return [
        store.counts(since, until, slow_s=3.0),
        store.first_tokens(since, until, late_s=2.0),
        store.first_tokens(since, until, late_s=0.7),
        store.outcomes(since, until, synthetic=True),
        store.usage(since, until, by="user"),
        store.usage(since, until, by="version"),
        store.series(HOUR, until, 60.0),
        store.percentiles("duration", since, until),
        store.requests(limit=300),
        store.totals(),
        store.benchmarks(),
    ]


@pytest.mark.parametrize("version", range(1, VERSION))
def test_a_file_of_every_earlier_layout_is_brought_to_todays(tmp_path: Path, version: int) -> None:
    written_by(version, tmp_path / "s")
    with pytest.raises(StoreUnreadable, match=f"layout {version} .* start `llmops watch`, which brings it up to date"):
        open_store(tmp_path / "s", read_only=True)
    memory = MemoryStore()
    memory.record(DOCUMENTS)
    store = open_store(tmp_path / "s")
    assert answers(store) == answers(memory)
    assert (store.checkpoint("f"), store.load_state("alerts")) == (7, [1])
    assert store.record(DOCUMENTS) == 0
    assert store.percentiles("ttft", 0, HOUR * 2, how="sketch").count > 0
    store.close()
    with closing(open_store(tmp_path / "s", read_only=True)) as reader:
        assert answers(reader) == answers(memory)


def test_a_step_that_fails_leaves_the_file_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written_by(VERSION, tmp_path / "s")

    def fails(connection: sqlite3.Connection) -> None:
        connection.execute("DROP TABLE journal")
        raise OSError("no space left")

    monkeypatch.setattr("llmops.store.schema.STEPS", (*STEPS, fails))
    with closing(sqlite3.connect(tmp_path / "s", isolation_level=None)) as connection:
        with pytest.raises(OSError, match="no space"):
            upgrade(connection, VERSION + 1)
        assert connection.execute("PRAGMA user_version").fetchone() == (VERSION,)
        assert connection.execute("SELECT * FROM journal").fetchall() == [("f", 7)]


@pytest.mark.parametrize("read_only", [True, False])
def test_a_newer_file_is_refused_with_one_sentence_and_stays(tmp_path: Path, read_only: bool) -> None:
    written_by(VERSION, tmp_path / "s")
    with closing(sqlite3.connect(tmp_path / "s")) as connection:
        connection.execute(f"PRAGMA user_version = {VERSION + 1}")
    with pytest.raises(StoreUnreadable) as caught:
        open_store(tmp_path / "s", read_only=read_only)
    assert str(caught.value) == (
        f"The record at {tmp_path / 's'} has layout {VERSION + 1}, which a newer llmops wrote; this one knows layout "
        f"{VERSION}: update llmops, or move the file away and `llmops watch` rebuilds it from the journal."
    )
    assert [path.name for path in tmp_path.iterdir()] == ["s"]


def test_somebody_elses_database_is_set_aside(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "s")) as connection:
        connection.execute("CREATE TABLE event (x)")
    store = open_store(tmp_path / "s")
    store.record([request(HOUR)], [Checkpoint("f", 1)])
    store.close()
    assert (tmp_path / "s.old").exists()


def test_views_show_each_kind_of_event_and_are_made_anew_when_the_fields_change(tmp_path: Path) -> None:
    store = open_store(tmp_path / "s")
    store.record(DOCUMENTS)
    store.close()
    with closing(sqlite3.connect(tmp_path / "s")) as connection:
        assert connection.execute("SELECT count(*), max(duration_s) FROM requests").fetchone() == (200, 19.9)
        assert connection.execute("SELECT time, device_id FROM samples").fetchone()[1] == "GPU-0"
        assert connection.execute("SELECT action, rule_id FROM alerts").fetchone() == ("firing", "vram")
        connection.execute("DROP VIEW benchmarks")
        connection.execute("CREATE VIEW benchmarks AS SELECT 1 AS old")
    open_store(tmp_path / "s").close()
    with closing(sqlite3.connect(tmp_path / "s")) as connection:
        assert connection.execute("SELECT benchmark_id FROM benchmarks").fetchone() == ("b1",)
