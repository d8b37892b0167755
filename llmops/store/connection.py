"""The connection under a store: opened once the disk lets it, used by one thread at a time, made anew after damage."""

from __future__ import annotations

import logging
import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TypeAlias

from llmops.store.answering import Ask
from llmops.store.errors import StoreRemoved, StoreUnavailable
from llmops.store.faults import is_damage, is_locked, is_trouble, unavailable, unreadable
from llmops.store.opening import BUSY_S, SnapshotConnection, open_reader, open_writer, put_aside

_RETRY_S = 1.0
_IMPATIENT_S = 0.1
"""A lock that outlasted `BUSY_S` is waited for only so long each time, until it is gone: watch has other work."""
Setup: TypeAlias = Callable[[sqlite3.Connection], None]
_log = logging.getLogger(__name__)


class ConnectedStore:
    """Any thread may call. `setup`: what the writer does first in its first transaction, and in that of each new file.

    A writer whose disk is full, read-only or failing, or whose file another program locks, raises StoreUnavailable and
    tries again at the next call; only proven damage makes it begin a new file.
    """

    def __init__(self, path: Path, *, read_only: bool, setup: Setup) -> None:
        self.path = path
        self._generation = 0
        self._read_only = read_only
        self._setup = setup
        self._is_set_up = read_only
        self._lock = threading.RLock()
        self._connection: sqlite3.Connection | None = None
        self._inode = 0
        self._unavailable: StoreUnavailable | None = None
        self._retry_at = 0.0
        self._is_patient = True
        if read_only:
            self._use(open_reader(path))
            return
        with suppress(StoreUnavailable):
            self._open()
            with self._transaction():
                """Nothing but the setup."""

    def generation(self) -> int:
        """See `Store`. Looks whether the file was replaced or removed."""
        with self._lock, suppress(StoreRemoved, StoreUnavailable):
            self._current()
        return self._generation

    def close(self) -> None:
        """Idempotent."""
        with self._lock:
            if self._connection is not None:
                self._connection.close()

    @contextmanager
    def _asking(self) -> Iterator[Ask]:
        """Queries that all see the same moment: a reader's within one transaction, the writer's within its lock."""
        with self._lock:
            connection = self._current()
            try:
                if self._read_only:
                    connection.execute("BEGIN")
                try:
                    yield lambda question, values: connection.execute(question, values).fetchall()
                finally:
                    if self._read_only and connection.in_transaction:
                        connection.execute("COMMIT")
            except sqlite3.DatabaseError as error:
                if self._read_only:
                    raise unreadable(self.path, error) from error
                self._judge(error)
                raise

    @contextmanager
    def _transaction(self, *, durable: bool = False) -> Iterator[sqlite3.Connection]:
        """All or nothing; IMMEDIATE, so that a second writer waits at the door and not in the middle.

        durable: forced to disk before it returns.
        """
        with self._lock:
            connection = self._current()
            try:
                if durable:
                    connection.execute("PRAGMA synchronous = FULL")
                try:
                    with _immediate(connection):
                        if not self._is_set_up:
                            self._setup(connection)
                        yield connection
                finally:
                    if durable:
                        connection.execute("PRAGMA synchronous = NORMAL")
            except sqlite3.DatabaseError as error:
                self._judge(error)
                raise
            self._is_set_up = True
            self._be_patient(True)

    def _judge(self, error: sqlite3.DatabaseError) -> None:
        """Begin a new file after damage, so that the next look reads the journal again; raise trouble as such."""
        if self._read_only:
            return
        if is_damage(error):
            self._begin_anew(f"is damaged ({error})")
        elif is_trouble(error):
            self._be_patient(not is_locked(error))
            raise unavailable(self.path, error) from error

    def _be_patient(self, is_patient: bool) -> None:
        if is_patient != self._is_patient and self._connection is not None:
            self._is_patient = is_patient
            busy_ms = round(1000 * (BUSY_S if is_patient else _IMPATIENT_S))
            self._connection.execute(f"PRAGMA busy_timeout = {busy_ms}")

    def _use(self, connection: sqlite3.Connection) -> None:
        self._connection, self._inode = connection, self.path.stat().st_ino

    def _open(self) -> sqlite3.Connection:
        """Open the file, at most once a second while that fails. Raises StoreUnavailable or StoreUnreadable."""
        now = time.monotonic()
        if self._unavailable is not None and now < self._retry_at:
            raise self._unavailable
        try:
            connection = open_writer(self.path, busy_s=BUSY_S if self._is_patient else _IMPATIENT_S)
        except StoreUnavailable as error:
            self._unavailable, self._retry_at = error, now + _RETRY_S
            self._is_patient = False
            raise
        self._unavailable = None
        self._use(connection)
        return connection

    def _begin_anew(self, problem: str | None = None) -> None:
        """After damage, or after the file was removed."""
        connection, self._connection, self._is_set_up = self._connection, None, False
        self._generation += 1
        if connection is not None and problem is not None:
            put_aside(self.path, connection, problem)
        elif connection is not None:
            connection.close()
        self._open()

    def _current(self) -> sqlite3.Connection:
        """The connection to use now. A reader whose file the writer has replaced looks at the new one.

        A writer whose file was removed begins a new one, of the next generation, and does not answer from it at once:
        whoever follows the journal must read it from the beginning first.
        """
        if self._connection is None:
            return self._open()
        try:
            inode = os.stat(self.path).st_ino  # noqa: PTH116
        except FileNotFoundError:
            inode = 0
        except OSError:  # a folder that cannot be looked at now: the open file can
            inode = self._inode
        if self._read_only:
            if inode not in (0, self._inode) or isinstance(self._connection, SnapshotConnection):
                fresh = open_reader(self.path)
                self._connection.close()
                self._generation += inode != self._inode
                self._use(fresh)
        elif inode != self._inode:
            self._begin_anew()
            _log.warning("The record at %s was removed: it is made anew from the journal.", self.path)
            raise StoreRemoved(f"The record at {self.path} was removed: it is made anew from the journal.")
        return self._connection


@contextmanager
def _immediate(connection: sqlite3.Connection) -> Iterator[None]:
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        if connection.in_transaction:  # a full or damaged disk has rolled back already
            connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")
