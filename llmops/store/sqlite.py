"""The store on disk: one SQLite file in WAL mode, one writer and many readers."""

from __future__ import annotations

import json
import logging
import math
import os
import sqlite3
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from llmops.events import AlertEvent, BenchmarkEvent, Document, RequestEvent, SampleEvent
from llmops.store import answering, blaming, queries, writing
from llmops.store.answering import Ask
from llmops.store.answers import LONGEST_S
from llmops.store.columns import columns_of, peaks_of, request_row
from llmops.store.conditions import Condition
from llmops.store.contract import (
    Blame,
    Blamed,
    Bucket,
    Checkpoint,
    Counts,
    Dimension,
    Ended,
    How,
    Judged,
    Kept,
    Late,
    Measure,
    Over,
    Peak,
    Percentiles,
    Probed,
    RequestRow,
    Usage,
)
from llmops.store.errors import StoreRemoved, StoreUnreadable
from llmops.store.leftout import LeftOut
from llmops.store.opening import is_damage, open_reader, open_writer
from llmops.store.where import to_sql
from llmops.untrusted import is_unicode

_LAST_CHARACTER = "\U0010ffff"
_log = logging.getLogger(__name__)


def open_store(
    path: Path, read_only: bool = False, *, slow_s: float | None = None, late_s: float | None = None
) -> SqliteStore:
    """The store at `path`. A writer creates or rebuilds it; a reader raises StoreUnreadable when it can't read it.

    `slow_s` of requests, `late_s` of first tokens: the thresholds whose counts are kept for every minute, so that
    months of them are told at once; None leaves them.
    """
    return SqliteStore(path, read_only=read_only, slow_s=slow_s, late_s=late_s)


class SqliteStore:
    """May be asked from any thread, one question at a time. See `Store` for what the questions mean."""

    def __init__(
        self, path: Path, *, read_only: bool = False, slow_s: float | None = None, late_s: float | None = None
    ) -> None:
        self.path = path
        self._read_only = read_only
        self._thresholds = (slow_s, late_s)
        self._lock = threading.RLock()
        self._left_out = LeftOut()
        self._generation = 0
        self._connection = open_reader(path) if read_only else open_writer(path)
        self._inode = path.stat().st_ino
        if not read_only:
            with self._transaction() as connection:
                writing.set_thresholds(connection, *self._thresholds)

    def record(self, documents: Sequence[Document], checkpoints: Sequence[Checkpoint] = ()) -> int:
        rows = [columns for columns in map(columns_of, documents) if columns is not None]
        with self._transaction() as connection:
            return writing.record(connection, rows, checkpoints, self._left_out)

    def generation(self) -> int:
        with self._lock, suppress(StoreRemoved):
            self._follow_rebuild()
        return self._generation

    def checkpoint(self, first_event_id: str) -> int:
        found = self._ask(queries.LOAD_CHECKPOINT, {"first_event_id": first_event_id})
        return int(found[0][0]) if found else 0

    def counts(self, since: float, until: float, *, slow_s: float) -> Counts:
        with self._asking() as ask:
            return answering.counts(ask, since, until, slow_s)

    def first_tokens(self, since: float, until: float, *, late_s: float) -> Judged:
        with self._asking() as ask:
            return answering.first_tokens(ask, since, until, late_s)

    def limited(self, since: float, until: float) -> Judged:
        with self._asking() as ask:
            return answering.limited(ask, since, until)

    def probes(self, since: float, until: float) -> Judged:
        ((total, bad),) = self._ask(queries.PROBES, {"since": since, "until": until})
        return Judged(total=total, bad=bad)

    def outcomes(self, since: float, until: float, *, synthetic: bool = False) -> dict[str, int]:
        with self._asking() as ask:
            return answering.outcomes(ask, since, until, synthetic)

    def percentiles(self, measure: Measure, since: float, until: float, *, how: How | None = None) -> Percentiles:
        with self._asking() as ask:
            return answering.latencies(ask, measure, since, until, how)

    def requests(
        self, *, limit: int, before: float | None = None, synthetic: bool = True, where: Condition | None = None
    ) -> list[RequestRow]:
        until = math.inf if before is None else before
        condition, bound = to_sql(where)
        values = {"before": until, "synthetic": int(synthetic), "limit": max(0, limit), **bound}
        return [request_row(row) for row in self._ask(queries.latest(condition), values)]

    def request(self, request_id: str) -> list[Document]:
        wanted = {"id": request_id, "end": request_id + _LAST_CHARACTER}
        if not request_id or not is_unicode(request_id):
            return []
        exact = self._documents(queries.BY_REQUEST_ID, wanted)
        if exact:
            return exact
        similar = self._documents(queries.BY_PREFIX, wanted)
        return similar if len(similar) == 1 else []

    def alive(self, since: float, until: float) -> list[RequestRow]:
        values = {"since": since, "until": until, "longest_s": LONGEST_S}
        return [request_row(row) for row in self._ask(queries.ALIVE, values)]

    def worst(
        self,
        since: float,
        until: float,
        *,
        slow_s: float,
        limit: int = 3,
        failures_first: bool = True,
        by: Late = "duration",
    ) -> list[str]:
        span = {"since": since, "until": until, "slow_s": slow_s, "failed": int(not failures_first)}
        failed = self._ask(queries.FAILED_IDS, span | {"limit": limit}) if failures_first else []
        slow = self._ask(queries.slow_ids(by), span | {"limit": max(0, limit - len(failed))})
        return [row[0] for row in (*failed, *slow)]

    def series(self, since: float, until: float, step_s: float) -> list[Bucket]:
        with self._asking() as ask:
            return answering.series(ask, since, until, step_s)

    def usage(self, since: float, until: float, *, by: Dimension, limit: int = 100) -> list[Usage]:
        with self._asking() as ask:
            return answering.usage(ask, since, until, by, limit)

    def oldest(self) -> float | None:
        return blaming.oldest(self._ask)

    def ended(self, since: float, until: float) -> list[Ended]:
        return blaming.ended(self._ask, since, until)

    def probed(self, since: float, until: float) -> list[Probed]:
        return blaming.probed(self._ask, since, until)

    def blame(
        self, since: float, until: float, *, by: Blamed, over: Over | None = None, limit: int = 100
    ) -> list[Blame]:
        return blaming.blame(self._ask, since, until, by, over, limit)

    def peaks(self, *, among: int) -> list[Peak]:
        return peaks_of(self._documents(queries.LATEST_OF, {"dataset": RequestEvent.dataset, "limit": max(0, among)}))

    def samples(self, since: float, until: float) -> list[Document]:
        return self._documents(queries.OF_SPAN, {"dataset": SampleEvent.dataset, "since": since, "until": until})

    def alerts(self, *, limit: int = 100) -> list[Document]:
        return self._documents(queries.LATEST_OF, {"dataset": AlertEvent.dataset, "limit": max(0, limit)})

    def benchmarks(self, *, limit: int = 20, suite: str | None = "self") -> list[Document]:
        values = {"dataset": BenchmarkEvent.dataset, "suite": suite, "limit": max(0, limit)}
        if suite is not None and not is_unicode(suite):
            return []
        return self._documents(queries.LATEST_OF if suite is None else queries.LATEST_OF_SUITE, values)

    def totals(self) -> dict[str, int]:
        return dict(self._ask(queries.TOTALS, {}))

    def prune(self, before: Mapping[Kept, float], *, limit: int = 500) -> int:
        with self._transaction() as connection:
            return writing.prune(connection, before, limit)

    def load_state(self, key: str) -> Any:
        found = self._ask(queries.LOAD_STATE, {"key": key})
        return json.loads(found[0][0]) if found else None

    def save_state(self, key: str, value: Any) -> None:
        written = json.dumps(value)
        with self._lock:
            self._connection.execute("PRAGMA synchronous = FULL")  # this is in no journal: force it to disk
            try:
                with self._transaction() as connection:
                    connection.execute(queries.SAVE_STATE, {"key": key, "value": written})
            finally:
                self._connection.execute("PRAGMA synchronous = NORMAL")

    def close(self) -> None:
        with self._lock:
            self._connection.close()

    def _ask(self, question: str, values: Mapping[str, Any]) -> list[Any]:
        with self._asking() as ask:
            return ask(question, values)

    def _documents(self, question: str, values: Mapping[str, Any]) -> list[Document]:
        return [json.loads(row[0]) for row in self._ask(question, values)]

    @contextmanager
    def _asking(self) -> Iterator[Ask]:
        """Queries that all see the same moment: a reader's within one transaction, the writer's within its lock."""
        with self._lock:
            self._follow_rebuild()
            connection = self._connection
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
                    raise self._unreadable(error) from error
                self._rebuild_if_damaged(error)
                raise

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        """All or nothing; IMMEDIATE, so that a second writer waits at the door and not in the middle."""
        with self._lock:
            self._follow_rebuild()
            connection = self._connection
            try:
                connection.execute("BEGIN IMMEDIATE")
                try:
                    yield connection
                except BaseException:
                    if connection.in_transaction:  # a full or damaged disk has rolled back already
                        connection.execute("ROLLBACK")
                    raise
                connection.execute("COMMIT")
            except sqlite3.DatabaseError as error:
                self._rebuild_if_damaged(error)
                raise

    def _rebuild_if_damaged(self, error: sqlite3.DatabaseError) -> None:
        """A file found broken at work: the writer begins a new one, so that the next look reads the journal again."""
        if is_damage(error) and not self._read_only:
            self._begin_anew(f"is damaged ({error})")

    def _unreadable(self, error: sqlite3.DatabaseError) -> StoreUnreadable:
        hope = ": `llmops watch` rebuilds it" if is_damage(error) else ""
        return StoreUnreadable(f"The record at {self.path} cannot be read ({error}){hope}.")

    def _begin_anew(self, because: str | None = None) -> None:
        self._connection.close()
        self._connection = open_writer(self.path, because)
        self._inode = self.path.stat().st_ino
        self._generation += 1
        with self._transaction() as connection:
            writing.set_thresholds(connection, *self._thresholds)

    def _follow_rebuild(self) -> None:
        """A reader whose file the writer has replaced looks at the new one.

        A writer whose file was removed begins a new one, of the next generation, and does not answer from it at once:
        whoever follows the journal must read it from the beginning first.
        """
        try:
            inode = os.stat(self.path).st_ino  # noqa: PTH116
        except FileNotFoundError:
            inode = 0
        if inode == self._inode or (self._read_only and not inode):
            return
        if not self._read_only:
            self._begin_anew()
            _log.warning("The record at %s was removed: it is made anew from the journal.", self.path)
            raise StoreRemoved(f"The record at {self.path} was removed: it is made anew from the journal.")
        fresh = open_reader(self.path)
        self._connection.close()
        self._connection, self._inode = fresh, inode
        self._generation += 1
