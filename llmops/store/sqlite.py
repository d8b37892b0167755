"""The store on disk: one SQLite file in WAL mode, one writer and many readers."""

from __future__ import annotations

import functools
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from llmops.events import AlertEvent, BenchmarkEvent, Document, RequestEvent, SampleEvent
from llmops.store import answering, blaming, queries, writing
from llmops.store.answers import LONGEST_S
from llmops.store.columns import columns_of, peaks_of, request_row
from llmops.store.conditions import Condition
from llmops.store.connection import ConnectedStore
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
from llmops.store.leftout import LeftOut
from llmops.store.where import to_sql
from llmops.untrusted import is_unicode

_LAST_CHARACTER = "\U0010ffff"


def open_store(
    path: Path, read_only: bool = False, *, slow_s: float | None = None, late_s: float | None = None
) -> SqliteStore:
    """The store at `path`. A writer creates or rebuilds it; a reader raises StoreUnreadable when it can't read it.

    `slow_s` of requests, `late_s` of first tokens: the thresholds whose counts are kept for every minute, so that
    months of them are told at once; None leaves them.
    """
    return SqliteStore(path, read_only=read_only, slow_s=slow_s, late_s=late_s)


class SqliteStore(ConnectedStore):
    """May be asked from any thread, one question at a time. See `Store` for what the questions mean."""

    def __init__(
        self, path: Path, *, read_only: bool = False, slow_s: float | None = None, late_s: float | None = None
    ) -> None:
        setup = functools.partial(writing.set_thresholds, slow_s=slow_s, late_s=late_s)
        super().__init__(path, read_only=read_only, setup=setup)
        self._left_out = LeftOut()

    def record(self, documents: Sequence[Document], checkpoints: Sequence[Checkpoint] = ()) -> int:
        rows = [columns for columns in map(columns_of, documents) if columns is not None]
        with self._transaction() as connection:
            return writing.record(connection, rows, checkpoints, self._left_out)

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
        with self._transaction(durable=True) as connection:  # this is in no journal: force it to disk
            connection.execute(queries.SAVE_STATE, {"key": key, "value": written})

    def _ask(self, question: str, values: Mapping[str, Any]) -> list[Any]:
        with self._asking() as ask:
            return ask(question, values)

    def _documents(self, question: str, values: Mapping[str, Any]) -> list[Document]:
        return [json.loads(row[0]) for row in self._ask(question, values)]
