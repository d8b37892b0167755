"""Opens the SQLite file: brings an older one up to date, refuses a newer one, sets aside one that is proven damaged."""

from __future__ import annotations

import logging
import os
import sqlite3
import stat
from pathlib import Path

from llmops.state.files import is_passing, open_private, require_private, sentence_of
from llmops.store.aside import set_aside
from llmops.store.errors import StoreUnavailable, StoreUnreadable
from llmops.store.faults import code_of, is_damage, is_trouble, unavailable, unreadable
from llmops.store.rollups import can_sum
from llmops.store.schema import VERSION, upgrade, version_of
from llmops.store.views import renew_views

BUSY_S = 5.0
"""How long a lock of another program is waited for."""
_COMPANIONS = ("-wal", "-shm")
_CACHE = "PRAGMA cache_size = -16384"
_log = logging.getLogger(__name__)


class SnapshotConnection(sqlite3.Connection):
    """Of a reader on a disk that takes no file beside the record. It does not see what a writer does later."""


def open_writer(path: Path, *, busy_s: float = BUSY_S) -> sqlite3.Connection:
    """The file for its one writer; created when missing, set aside and begun anew when it is damaged or another
    program's.

    Raises StoreUnavailable where the disk or another program refuses for now, and StoreUnreadable for a file that a
    newer llmops wrote, and for one that cannot be opened.
    """
    while True:
        _prepare_file(path)
        try:
            connection = _connect(path, "rw", busy_s=busy_s)
        except sqlite3.Error as error:
            raise _refused(path, error) from error
        try:
            problem = _damage_of(connection, path)
            if problem is None:
                return _prepared(connection)
        except sqlite3.Error as error:
            if not is_damage(error):
                connection.close()
                raise _refused(path, error) from error
            problem = f"is damaged ({error})"
        except BaseException:
            connection.close()
            raise
        put_aside(path, connection, problem)


def put_aside(path: Path, connection: sqlite3.Connection, problem: str) -> None:
    """Set the file aside and close it, in this order: SQLite deletes the log of a file that it closes, and leaves that
    of one that was renamed.

    `problem`: the rest of a sentence about the file. Raises StoreUnavailable or StoreUnreadable.
    """
    try:
        set_aside(path, problem)
    except OSError as error:
        raise _file_refused(path, error) from error
    finally:
        connection.close()


def _prepare_file(path: Path) -> None:
    """Create a file of mode 0600 where there is none."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        for companion in _COMPANIONS:
            require_private(Path(f"{path}{companion}"))
        os.close(open_private(path, os.O_CREAT | os.O_RDWR))
        path.chmod(0o600)
    except OSError as error:
        raise _file_refused(path, error) from error


def _file_refused(path: Path, error: OSError) -> StoreUnreadable:
    if is_passing(error):
        reason = error.strerror or str(error)
        return StoreUnavailable(f"The record at {path} cannot be used now ({reason}).", reason)
    return StoreUnreadable(f"The record at {path} cannot be opened: {sentence_of(error)}")


def _refused(path: Path, error: sqlite3.Error) -> StoreUnreadable:
    if is_trouble(error):
        return unavailable(path, error)
    return StoreUnreadable(f"The record at {path} cannot be opened ({error}).")


def _prepared(connection: sqlite3.Connection) -> sqlite3.Connection:
    connection.execute(_CACHE)
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
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise StoreUnreadable(f"The record at {path} is not a regular file: move it away.")
    except (FileNotFoundError, NotADirectoryError):
        raise StoreUnreadable(f"There is no record at {path} yet: start `llmops watch`, which builds it.") from None
    except OSError as error:
        raise StoreUnreadable(f"The record at {path} cannot be read: {sentence_of(error)}") from None
    try:
        return _readable(path, _connect(path, "ro"))
    except sqlite3.Error as error:
        if not _may_be_snapshot(path, error):
            raise unreadable(path, error) from error
    try:
        return _readable(path, _connect(path, "ro&immutable=1", factory=SnapshotConnection))
    except sqlite3.Error as error:
        raise unreadable(path, error) from error


def _may_be_snapshot(path: Path, error: sqlite3.Error) -> bool:
    """A full or read-only disk takes no `-shm`, which a reader needs only where a writer left a log."""
    if code_of(error) not in (sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY):
        return False
    try:
        return Path(f"{path}-wal").stat().st_size == 0
    except FileNotFoundError:
        return True
    except OSError:
        return False


def _readable(path: Path, connection: sqlite3.Connection) -> sqlite3.Connection:
    try:
        problem = _damage_of(connection, path)
        if problem is not None:
            raise StoreUnreadable(f"The record at {path} {problem}: start `llmops watch`, which rebuilds it.")
        version = version_of(connection)
        if version != VERSION:
            raise StoreUnreadable(
                f"The record at {path} has layout {version} and this program reads layout {VERSION}: start `llmops "
                "watch`, which brings it up to date."
            )
        connection.execute(_CACHE)
    except BaseException:
        connection.close()
        raise
    return connection


def _connect(
    path: Path, mode: str, *, busy_s: float = BUSY_S, factory: type[sqlite3.Connection] = sqlite3.Connection
) -> sqlite3.Connection:
    return sqlite3.connect(
        f"{path.absolute().as_uri()}?mode={mode}",
        uri=True,
        timeout=busy_s,
        isolation_level=None,
        check_same_thread=False,
        factory=factory,
    )


def _damage_of(connection: sqlite3.Connection, path: Path) -> str | None:
    """What is wrong with this file for good, as the rest of a sentence; None where nothing is.

    Raises StoreUnreadable for a newer file, and sqlite3.Error for what proves no damage.
    """
    try:
        version = version_of(connection)
        if version > VERSION:
            raise StoreUnreadable(
                f"The record at {path} has layout {version}, which a newer llmops wrote; this one knows layout "
                f"{VERSION}: update llmops, or move the file away and `llmops watch` rebuilds it from the journal."
            )
        if version < 1:  # empty where a full disk stopped the first start
            is_empty = connection.execute("SELECT count(*) FROM sqlite_master").fetchone() == (0,)
            return None if is_empty else "is no record of llmops"
        for table in ("event", "journal", "state"):
            connection.execute(f"SELECT * FROM {table} LIMIT 1").fetchall()  # noqa: S608
        connection.execute("SELECT * FROM event ORDER BY seq DESC LIMIT 1").fetchall()
    except sqlite3.DatabaseError as error:
        if is_damage(error):
            return f"is damaged ({error})"
        if code_of(error) == sqlite3.SQLITE_ERROR:  # no such table or column
            return f"is no record of llmops ({error})"
        raise
    return None
