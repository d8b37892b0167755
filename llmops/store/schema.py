"""The SQLite file: its tables, its version, and what happens to a file that cannot be used."""

from __future__ import annotations

import contextlib
import logging
import os
import sqlite3
from pathlib import Path

from llmops.store.columns import Columns
from llmops.store.errors import StoreUnreadable

VERSION = 2
"""PRAGMA user_version. A file of another version is set aside and rebuilt: the journal is the truth."""
BUSY_S = 5.0
_COMPANIONS = ("-wal", "-shm")
_log = logging.getLogger(__name__)

_TABLES = """
CREATE TABLE event (
  seq INTEGER PRIMARY KEY,
  event_id TEXT NOT NULL UNIQUE,
  at REAL NOT NULL,
  dataset TEXT NOT NULL,
  request_id TEXT, user TEXT, model TEXT, status_code INTEGER, outcome TEXT, error_type TEXT, finish_reason TEXT,
  duration_s REAL, ttft_s REAL, tpot_s REAL, queue_s REAL, input_tokens INTEGER, output_tokens INTEGER,
  eligible INTEGER NOT NULL, synthetic INTEGER NOT NULL, failed INTEGER NOT NULL,
  body TEXT NOT NULL,
  version TEXT
);
CREATE INDEX event_time ON event(dataset, at, synthetic, outcome, error_type, duration_s, ttft_s, output_tokens);
CREATE INDEX eligible_time ON event(eligible, at, failed, duration_s) WHERE eligible = 1;
CREATE INDEX request_id ON event(request_id) WHERE request_id IS NOT NULL;
CREATE TABLE journal (first_event_id TEXT PRIMARY KEY, offset INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE pruned (kept TEXT PRIMARY KEY, until REAL NOT NULL) WITHOUT ROWID;
CREATE TABLE state (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
"""

INSERT = (
    f"INSERT INTO event ({', '.join(Columns._fields)}) VALUES ({', '.join('?' * len(Columns._fields))}) "  # noqa: S608
    "ON CONFLICT(event_id) DO NOTHING"
)


def open_writer(path: Path, problem: str | None = None) -> sqlite3.Connection:
    """The file for its one writer; created when missing, set aside and begun anew when it cannot be used.

    `problem`: what is already known to be wrong with it, as the rest of a sentence.
    """
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    if problem is None and path.exists() and path.stat().st_size:
        problem = _problem(path)
    if problem:
        _set_aside(path)
        _log.warning("%s %s: it is kept as %s.old and rebuilt from the journal.", path, problem, path.name)
    os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
    path.chmod(0o600)
    try:
        return _prepared(_connect(path, "rw"))
    except sqlite3.Error as error:
        raise StoreUnreadable(f"The record at {path} cannot be opened ({error}).") from error


def _prepared(connection: sqlite3.Connection) -> sqlite3.Connection:
    connection.execute("PRAGMA page_size = 8192")  # a request is some 2 KB: in 4 KB pages half would stay empty
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA wal_autocheckpoint = 4000")
    connection.execute("PRAGMA synchronous = NORMAL")  # a lost tail is read again from the journal
    connection.execute("PRAGMA journal_size_limit = 67108864")
    if _version(connection) != VERSION:
        connection.executescript(f"BEGIN IMMEDIATE; {_TABLES} PRAGMA user_version = {VERSION}; COMMIT;")
    return connection


def open_reader(path: Path) -> sqlite3.Connection:
    """The file for one of many readers. Raises StoreUnreadable with one sentence."""
    if not path.exists():
        raise StoreUnreadable(f"There is no record at {path} yet: start `llmops watch`, which builds it.")
    problem = _problem(path)
    if problem:
        raise StoreUnreadable(f"The record at {path} {problem}: start `llmops watch`, which rebuilds it.")
    return _connect(path, "ro")


def _connect(path: Path, mode: str) -> sqlite3.Connection:
    connection = sqlite3.connect(
        f"{path.absolute().as_uri()}?mode={mode}",
        uri=True,
        timeout=BUSY_S,
        isolation_level=None,
        check_same_thread=False,
    )
    connection.execute("PRAGMA cache_size = -16384")
    return connection


def _problem(path: Path) -> str | None:
    """Why this file cannot be used, as the rest of a sentence; None when it can."""
    try:
        with contextlib.closing(_connect(path, "ro")) as connection:
            version = _version(connection)
            if version != VERSION:
                return f"has layout {version} and this program reads layout {VERSION}"
            for table in ("event", "journal", "state"):
                connection.execute(f"SELECT * FROM {table} LIMIT 1").fetchall()  # noqa: S608
            connection.execute("SELECT * FROM event ORDER BY seq DESC LIMIT 1").fetchall()
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
            return None
        return f"cannot be read ({error})"
    except sqlite3.DatabaseError as error:
        return f"is damaged ({error})"
    return None


def is_damage(error: sqlite3.Error) -> bool:
    """The file itself is broken, as opposed to a question that failed."""
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    return code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


def _version(connection: sqlite3.Connection) -> int:
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


def _set_aside(path: Path) -> None:
    """Keep the newest unusable file only, so that a crash loop cannot fill the disk."""
    if path.exists():
        path.replace(path.with_name(f"{path.name}.old"))
    for companion in _COMPANIONS:
        path.with_name(path.name + companion).unlink(missing_ok=True)
