"""The store on disk: one SQLite file in WAL mode, one writer and many readers."""

from __future__ import annotations

import json
import math
import os
import sqlite3
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from llmops.events import AlertEvent, BenchmarkEvent, Document, SampleEvent
from llmops.store import queries
from llmops.store.answers import LONGEST_S, filled, hour_of, percentiles, steps
from llmops.store.columns import MEASURES, columns_of, kept_as, request_row
from llmops.store.conditions import Condition
from llmops.store.contract import (
    Bucket,
    Checkpoint,
    Counts,
    Dimension,
    How,
    Kept,
    Measure,
    Percentiles,
    RequestRow,
    Usage,
)
from llmops.store.schema import INSERT, is_damage, open_reader, open_writer
from llmops.store.where import to_sql

_LAST_CHARACTER = "\U0010ffff"


def open_store(path: Path, read_only: bool = False) -> SqliteStore:
    """The store at `path`. A writer creates or rebuilds it; a reader raises StoreUnreadable when it can't read it."""
    return SqliteStore(path, read_only=read_only)


class SqliteStore:
    """May be asked from any thread, one question at a time. See `Store` for what the questions mean."""

    def __init__(self, path: Path, *, read_only: bool = False) -> None:
        self.path = path
        self._read_only = read_only
        self._lock = threading.RLock()
        self._connection = open_reader(path) if read_only else open_writer(path)
        self._inode = path.stat().st_ino

    def record(self, documents: Sequence[Document], checkpoints: Sequence[Checkpoint] = ()) -> int:
        found = [columns for columns in map(columns_of, documents) if columns is not None]
        marks = [{"first_event_id": mark.first_event_id, "offset": mark.offset} for mark in checkpoints]
        with self._transaction() as connection:
            pruned = dict(connection.execute(queries.LOAD_PRUNED))
            rows = [row for row in found if row.at >= pruned.get(kept_as(row.dataset), -math.inf)]
            before = connection.total_changes
            connection.executemany(INSERT, rows)
            new = connection.total_changes - before
            connection.executemany(queries.SAVE_CHECKPOINT, marks)
        return new

    def checkpoint(self, first_event_id: str) -> int:
        found = self._ask(queries.LOAD_CHECKPOINT, {"first_event_id": first_event_id})
        return int(found[0][0]) if found else 0

    def counts(self, since: float, until: float, *, slow_s: float) -> Counts:
        total, failed, slow = self._ask(queries.COUNTS, {"since": since, "until": until, "slow_s": slow_s})[0]
        return Counts(total=total, failed=failed, slow=slow)

    def outcomes(self, since: float, until: float, *, synthetic: bool = False) -> dict[str, int]:
        return dict(self._ask(queries.OUTCOMES, {"since": since, "until": until, "synthetic": int(synthetic)}))

    def percentiles(self, measure: Measure, since: float, until: float, *, how: How | None = None) -> Percentiles:
        question = queries.values_of(MEASURES[measure])
        return percentiles(row[0] for row in self._ask(question, {"since": since, "until": until}))

    def requests(
        self, *, limit: int, before: float | None = None, synthetic: bool = True, where: Condition | None = None
    ) -> list[RequestRow]:
        until = math.inf if before is None else before
        condition, bound = to_sql(where)
        values = {"before": until, "synthetic": int(synthetic), "limit": max(0, limit), **bound}
        return [request_row(row) for row in self._ask(queries.latest(condition), values)]

    def request(self, request_id: str) -> list[Document]:
        wanted = {"id": request_id, "end": request_id + _LAST_CHARACTER}
        if not request_id or not _is_writable(request_id):
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
        self, since: float, until: float, *, slow_s: float, limit: int = 3, failures_first: bool = True
    ) -> list[str]:
        span = {"since": since, "until": until, "slow_s": slow_s, "failed": int(not failures_first)}
        failed = self._ask(queries.FAILED_IDS, span | {"limit": limit}) if failures_first else []
        slow = self._ask(queries.SLOW_IDS, span | {"limit": max(0, limit - len(failed))})
        return [row[0] for row in (*failed, *slow)]

    def series(self, since: float, until: float, step_s: float) -> list[Bucket]:
        count = steps(since, until, step_s)
        rows = self._ask(queries.SERIES, {"since": since, "until": until, "step_s": step_s})
        found = {
            step: Bucket(
                start=since + step * step_s,
                requests=requests,
                failed=failed,
                output_tokens=tokens,
                max_duration_s=longest,
            )
            for step, requests, failed, tokens, longest in rows
        }
        return filled(found, since, step_s, count)

    def usage(self, since: float, until: float, *, by: Dimension, limit: int = 100) -> list[Usage]:
        rows = self._ask(queries.usage(by), {"since": since, "until": until})
        used = [
            Usage(key=key, requests=requests, failed=failed, input_tokens=read, output_tokens=written)
            for key, requests, failed, read, written in rows
        ]
        return sorted(used, key=lambda one: (-one.requests, one.key is None, one.key or ""))[: max(0, limit)]

    def samples(self, since: float, until: float) -> list[Document]:
        return self._documents(queries.OF_SPAN, {"dataset": SampleEvent.dataset, "since": since, "until": until})

    def alerts(self, *, limit: int = 100) -> list[Document]:
        return self._documents(queries.LATEST_OF, {"dataset": AlertEvent.dataset, "limit": max(0, limit)})

    def benchmarks(self, *, limit: int = 20) -> list[Document]:
        return self._documents(queries.LATEST_OF, {"dataset": BenchmarkEvent.dataset, "limit": max(0, limit)})

    def totals(self) -> dict[str, int]:
        return dict(self._ask(queries.TOTALS, {}))

    def prune(self, before: Mapping[Kept, float], *, limit: int = 2000) -> int:
        with self._transaction() as connection:
            for kept, moment in before.items():
                connection.execute(queries.SAVE_PRUNED, {"kept": kept, "until": hour_of(moment)})
            pruned = dict(connection.execute(queries.LOAD_PRUNED))
            gone = 0
            for (dataset,) in connection.execute(queries.DATASETS).fetchall():
                values = {"dataset": dataset, "until": pruned.get(kept_as(dataset), -math.inf), "limit": limit - gone}
                gone += connection.execute(queries.DELETE_ROWS, values).rowcount
        return gone

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
        with self._lock:
            self._follow_rebuild()
            try:
                return self._connection.execute(question, values).fetchall()
            except sqlite3.DatabaseError as error:
                self._rebuild_if_damaged(error)
                raise

    def _documents(self, question: str, values: Mapping[str, Any]) -> list[Document]:
        return [json.loads(row[0]) for row in self._ask(question, values)]

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        """All or nothing; IMMEDIATE, so that a second writer waits at the door and not in the middle."""
        with self._lock:
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
            self._connection.close()
            self._connection = open_writer(self.path, f"is damaged ({error})")

    def _follow_rebuild(self) -> None:
        """A reader whose file the writer has replaced looks at the new one."""
        if not self._read_only:
            return
        try:
            inode = os.stat(self.path).st_ino  # noqa: PTH116
        except FileNotFoundError:
            return
        if inode != self._inode:
            fresh = open_reader(self.path)
            self._connection.close()
            self._connection, self._inode = fresh, inode


def _is_writable(text: str) -> bool:
    """Can be bound as UTF-8; a lone surrogate from a command line cannot, and matches nothing."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
