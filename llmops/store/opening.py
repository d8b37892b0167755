"""Opens the SQLite file: brings an older one up to date, refuses a newer one, sets aside one that is broken."""

from __future__ import annotations

import contextlib
import logging
import os
import sqlite3
from pathlib import Path

from llmops.store.errors import StoreUnreadable
from llmops.store.rollups import can_sum
from llmops.store.schema import VERSION, upgrade, version_of
from llmops.store.views import renew_views

BUSY_S = 5.0
_COMPANIONS = ("-wal", "-shm")
_log = logging.getLogger(__name__)


def open_writer(path: Path, problem: str | None = None) -> sqlite3.Connection:
    """The file for its one writer; created when missing, set aside and begun anew when it is broken.

    `problem`: what is already known to be wrong with it, as the rest of a sentence. Raises StoreUnreadable for a file
    that a newer llmops wrote, and for one that cannot be opened.
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
    can_sum(connection)
    before = version_of(connection)
    if 0 < before < VERSION:
        _log.info("the record is brought from layout %d to layout %d", before, VERSION)
    upgrade(connection)
    renew_views(connection)
    return connection


def open_reader(path: Path) -> sqlite3.Connection:
    """The file for one of many readers. Raises StoreUnreadable with one sentence."""
    if not path.exists():
        raise StoreUnreadable(f"There is no record at {path} yet: start `llmops watch`, which builds it.")
    problem = _problem(path)
    if problem:
        raise StoreUnreadable(f"The record at {path} {problem}: start `llmops watch`, which rebuilds it.")
    connection = _connect(path, "ro")
    version = version_of(connection)
    if version != VERSION:
        connection.close()
        raise StoreUnreadable(
            f"The record at {path} has layout {version} and this program reads layout {VERSION}: start `llmops watch`, "
            "which brings it up to date."
        )
    return connection


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
    """Why this file cannot be used, as the rest of a sentence; None when it can. A newer one raises StoreUnreadable."""
    try:
        with contextlib.closing(_connect(path, "ro")) as connection:
            version = version_of(connection)
            if version > VERSION:
                raise StoreUnreadable(
                    f"The record at {path} has layout {version}, which a newer llmops wrote; this one knows layout "
                    f"{VERSION}: update llmops, or move the file away and `llmops watch` rebuilds it from the journal."
                )
            if version < 1:
                return "is no record of llmops"
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


def _set_aside(path: Path) -> None:
    """Keep the newest unusable file only, so that a crash loop cannot fill the disk."""
    if path.exists():
        path.replace(path.with_name(f"{path.name}.old"))
    for companion in _COMPANIONS:
        path.with_name(path.name + companion).unlink(missing_ok=True)
