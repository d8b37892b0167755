"""The tables of the SQLite file, and the steps that bring an older file to them: one for each layout there ever was."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator

from llmops.events import RequestEvent
from llmops.events.names import name_of
from llmops.store import rollups
from llmops.store.columns import BENCHMARKS, REQUEST, SUITE, Columns

SLOW_S = 3.0
"""What counts as slow in a file that was told no threshold: the default of `objectives.latency_threshold_s`."""
LATE_S = 2.0
"""The same of first tokens: the default of `objectives.ttft_threshold_s`."""
_BATCH = 10_000


def _rows(connection: sqlite3.Connection) -> None:
    """Events, how far each journal was read, and what programs keep."""
    connection.execute("""CREATE TABLE event (
  seq INTEGER PRIMARY KEY,
  event_id TEXT NOT NULL UNIQUE,
  at REAL NOT NULL,
  dataset TEXT NOT NULL,
  request_id TEXT, user TEXT, model TEXT, status_code INTEGER, outcome TEXT, error_type TEXT, finish_reason TEXT,
  duration_s REAL, ttft_s REAL, tpot_s REAL, queue_s REAL, input_tokens INTEGER, output_tokens INTEGER,
  eligible INTEGER NOT NULL, synthetic INTEGER NOT NULL, failed INTEGER NOT NULL,
  body TEXT NOT NULL
)""")
    for index in (
        "event_time ON event(dataset, at, synthetic, outcome, error_type, duration_s, ttft_s, output_tokens)",
        "eligible_time ON event(eligible, at, failed, duration_s) WHERE eligible = 1",
        "request_id ON event(request_id) WHERE request_id IS NOT NULL",
    ):
        connection.execute(f"CREATE INDEX {index}")
    connection.execute("CREATE TABLE journal (first_event_id TEXT PRIMARY KEY, offset INTEGER NOT NULL) WITHOUT ROWID")
    connection.execute("CREATE TABLE state (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID")


def _versions_of_models(connection: sqlite3.Connection) -> None:
    """The version of the model beside its name; until when rows were deleted."""
    connection.execute("ALTER TABLE event ADD COLUMN version TEXT")
    connection.execute(
        "UPDATE event SET version = json_extract(body, ?) WHERE dataset = ? AND json_valid(body) "
        "AND json_type(body, ?) = 'text'",
        (path := f'$."{name_of(RequestEvent, "model_version")}"', REQUEST, path),
    )
    connection.execute("CREATE TABLE pruned (kept TEXT PRIMARY KEY, until REAL NOT NULL) WITHOUT ROWID")


def _sums(connection: sqlite3.Connection) -> None:
    """Rollups of minutes and hours, filled from the rows that are there."""
    for table in rollups.TABLES:
        connection.execute(table)
    connection.execute("CREATE TABLE threshold (slow_s REAL NOT NULL)")
    connection.execute("INSERT INTO threshold VALUES (?)", (SLOW_S,))
    known = Columns._fields[: Columns._fields.index("version") + 1]  # what this layout has
    columns = ", ".join("'{}'" if name == "body" else name for name in known)
    cursor = connection.execute(f"SELECT {columns} FROM event WHERE dataset = ? ORDER BY at", (REQUEST,))  # noqa: S608
    while rows := cursor.fetchmany(_BATCH):
        sums = rollups.Rollups(SLOW_S, LATE_S)
        sums.take(Columns(*row) for row in rows)
        sums.write(connection, rollups.WITHOUT_FIRST_TOKENS)


def _first_tokens(connection: sqlite3.Connection) -> None:
    """What came late of first tokens, in the rollups whose rows are still there; older ones know nothing of it."""
    connection.execute("DROP INDEX eligible_time")
    connection.execute(
        "CREATE INDEX eligible_time ON event(eligible, at, failed, duration_s, ttft_s) WHERE eligible = 1"
    )
    late_s = f"late_s REAL NOT NULL DEFAULT {LATE_S}"
    connection.execute(f"ALTER TABLE threshold ADD COLUMN {late_s}")
    for column in (
        late_s,
        "awaited INTEGER NOT NULL DEFAULT 0",
        "late INTEGER NOT NULL DEFAULT 0",
        "judged_ttft_s BLOB",
    ):
        connection.execute(f"ALTER TABLE rollup ADD COLUMN {column}")
    cursor = connection.execute(
        "SELECT at, failed, ttft_s FROM event INDEXED BY eligible_time WHERE eligible = 1 ORDER BY at"
    )
    while rows := cursor.fetchmany(_BATCH):
        sums = rollups.Rollups(SLOW_S, LATE_S)
        sums.take(Columns("", at, REQUEST, eligible=1, failed=failed, ttft_s=ttft_s) for at, failed, ttft_s in rows)
        sums.write_first_tokens(connection)


def _suites(connection: sqlite3.Connection) -> None:
    """Self-benchmarks are found without reading the many canaries between them."""
    connection.execute(f"CREATE INDEX benchmark_suite ON event({SUITE}, at) WHERE {BENCHMARKS}")


def _limits(connection: sqlite3.Connection) -> None:
    """Which requests took longer than their length may take; what was recorded before has no limit."""
    connection.execute("ALTER TABLE event ADD COLUMN over_limit INTEGER")
    connection.execute("DROP INDEX eligible_time")
    connection.execute(
        "CREATE INDEX eligible_time ON event(eligible, at, failed, duration_s, ttft_s, over_limit) WHERE eligible = 1"
    )
    for column in rollups.LIMITS:
        connection.execute(f"ALTER TABLE rollup ADD COLUMN {column} INTEGER NOT NULL DEFAULT 0")


STEPS: tuple[Callable[[sqlite3.Connection], None], ...] = (
    _rows,
    _versions_of_models,
    _sums,
    _first_tokens,
    _suites,
    _limits,
)
"""Step n brings layout n to n + 1. What was released is never changed: what is new is a further step."""
VERSION = len(STEPS)
"""The layout that this program reads and writes, in PRAGMA user_version."""


def version_of(connection: sqlite3.Connection) -> int:
    """The layout of this file; 0 for an empty one."""
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


def upgrade(connection: sqlite3.Connection, to: int = VERSION) -> None:
    """Take the steps that are missing, each whole or not at all."""
    for version in _missing(connection, to):
        connection.execute("BEGIN IMMEDIATE")
        try:
            STEPS[version](connection)
            connection.execute(f"PRAGMA user_version = {version + 1}")
            connection.execute("COMMIT")
        except BaseException:
            connection.execute("ROLLBACK")
            raise


def _missing(connection: sqlite3.Connection, to: int) -> Iterator[int]:
    while (version := version_of(connection)) < to:
        yield version


INSERT = (
    f"INSERT INTO event ({', '.join(Columns._fields)}) VALUES ({', '.join('?' * len(Columns._fields))}) "  # noqa: S608
    "ON CONFLICT(event_id) DO NOTHING"
)
