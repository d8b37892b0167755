"""The store without a disk: for tests, for trying the stack, and as the reading of the contract in plain Python."""

from __future__ import annotations

import collections
import itertools
import json
import math
import threading
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from llmops.events import AlertEvent, BenchmarkEvent, Document, RequestEvent, SampleEvent
from llmops.events.names import name_of
from llmops.store.answers import LONGEST_S, filled, hour_of, most_blamed, most_used, percentiles, steps
from llmops.store.blaming import is_bad, key_of
from llmops.store.columns import MEASURES, REQUEST, Columns, columns_of, ended_of, kept_as, peaks_of, shown
from llmops.store.conditions import Condition, holds
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


class MemoryStore:
    """Everything in lists; forgotten with the process. It has no rollups: what was pruned is not counted either."""

    def __init__(self) -> None:
        self._events: dict[str, Columns] = {}
        self._offsets: dict[str, int] = {}
        self._states: dict[str, str] = {}
        self._pruned: dict[str, float] = {}
        self._left_out = LeftOut()
        self._lock = threading.RLock()

    def record(self, documents: Sequence[Document], checkpoints: Sequence[Checkpoint] = ()) -> int:
        rows = [columns for columns in map(columns_of, documents) if columns is not None]
        with self._lock:
            before = len(self._events)
            for row in self._left_out.sift(rows, self._pruned):
                self._events.setdefault(row.event_id, row)
            self._offsets.update((mark.first_event_id, mark.offset) for mark in checkpoints)
            return len(self._events) - before

    def generation(self) -> int:
        return 0

    def checkpoint(self, first_event_id: str) -> int:
        return self._offsets.get(first_event_id, 0)

    def counts(self, since: float, until: float, *, slow_s: float) -> Counts:
        eligible = [row for row in self._of(REQUEST, since, until) if row.eligible]
        return Counts(
            total=len(eligible),
            failed=sum(row.failed for row in eligible),
            slow=sum((row.duration_s or 0.0) > slow_s for row in eligible),
        )

    def first_tokens(self, since: float, until: float, *, late_s: float) -> Judged:
        awaited = [
            row for row in self._of(REQUEST, since, until) if row.eligible and (row.failed or row.ttft_s is not None)
        ]
        return Judged(total=len(awaited), bad=sum(row.ttft_s is None or row.ttft_s > late_s for row in awaited))

    def limited(self, since: float, until: float) -> Judged:
        over = [row.over_limit for row in self._eligible(since, until) if row.over_limit is not None]
        return Judged(total=len(over), bad=sum(over))

    def probes(self, since: float, until: float) -> Judged:
        probes = [row for row in self._of(BenchmarkEvent.dataset, since, until) if row.synthetic]
        return Judged(total=len(probes), bad=sum(row.failed for row in probes))

    def outcomes(self, since: float, until: float, *, synthetic: bool = False) -> dict[str, int]:
        return dict(
            collections.Counter(
                (row.error_type or "_OTHER") if row.failed else str(row.outcome)
                for row in self._of(REQUEST, since, until)
                if row.synthetic <= synthetic
            )
        )

    def percentiles(self, measure: Measure, since: float, until: float, *, how: How | None = None) -> Percentiles:
        values = (getattr(row, MEASURES[measure]) for row in self._successful(since, until))
        return percentiles(value for value in values if value is not None)

    def requests(
        self, *, limit: int, before: float | None = None, synthetic: bool = True, where: Condition | None = None
    ) -> list[RequestRow]:
        until = math.inf if before is None else before
        newest = [row for row in self._newest(REQUEST) if row.at < until and row.synthetic <= synthetic]
        found = (row for row in newest if where is None or holds(where, row.__getattribute__))
        return [shown(row) for row in itertools.islice(found, max(0, limit))]

    def request(self, request_id: str) -> list[Document]:
        newest = self._newest(REQUEST) if request_id else []
        exact = [json.loads(row.body) for row in newest if row.request_id == request_id]
        similar = [
            json.loads(row.body)
            for row in newest
            if str(row.request_id).startswith(request_id) or row.event_id.startswith(request_id)
        ]
        return exact or (similar if len(similar) == 1 else [])

    def alive(self, since: float, until: float) -> list[RequestRow]:
        rows = sorted(self._of(REQUEST, since, until + LONGEST_S), key=lambda row: row.at)
        return [found for found in map(shown, rows) if found.started_at < until]

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
        def lateness(row: Columns) -> float:
            return (row.duration_s if by == "limit" else getattr(row, MEASURES[by])) or 0.0

        def is_late(row: Columns) -> bool:
            return row.over_limit == 1 if by == "limit" else lateness(row) > slow_s

        newest = [row for row in self._newest(REQUEST) if row.eligible and since <= row.at < until]
        failed = [row for row in newest if row.failed and failures_first]
        slow = [row for row in newest if is_late(row) and not (row.failed and failures_first)]
        slow.sort(key=lambda row: -lateness(row))
        return [str(row.request_id) for row in (*failed, *slow)][: max(0, limit)]

    def series(self, since: float, until: float, step_s: float) -> list[Bucket]:
        count = steps(since, until, step_s)
        rows: dict[int, list[Columns]] = collections.defaultdict(list)
        for row in self._of(REQUEST, since, until):
            if not row.synthetic:
                rows[int((row.at - since) / step_s)].append(row)
        found = {
            step: Bucket(
                start=since + step * step_s,
                requests=len(there),
                failed=sum(row.failed for row in there),
                output_tokens=sum(row.output_tokens or 0 for row in there),
                max_duration_s=max((row.duration_s for row in there if row.duration_s is not None), default=None),
            )
            for step, there in rows.items()
        }
        return filled(found, since, step_s, count)

    def usage(self, since: float, until: float, *, by: Dimension, limit: int = 100) -> list[Usage]:
        rows: dict[str | None, list[Columns]] = collections.defaultdict(list)
        for row in self._of(REQUEST, since, until):
            if not row.synthetic:
                rows[getattr(row, by) or None].append(row)
        sums = {
            key: (
                len(theirs),
                sum(row.failed for row in theirs),
                sum(row.input_tokens or 0 for row in theirs),
                sum(row.output_tokens or 0 for row in theirs),
            )
            for key, theirs in rows.items()
        }
        return most_used(sums.items(), limit)

    def oldest(self) -> float | None:
        return min((row.at for row in self._of(REQUEST, -math.inf, math.inf)), default=None)

    def ended(self, since: float, until: float) -> list[Ended]:
        rows = sorted(self._eligible(since, until), key=lambda row: row.at)
        return list(map(ended_of, rows))

    def probed(self, since: float, until: float) -> list[Probed]:
        probes = [row for row in self._of(BenchmarkEvent.dataset, since, until) if row.synthetic]
        return [Probed(row.at, row.failed == 1) for row in sorted(probes, key=lambda row: row.at)]

    def blame(
        self, since: float, until: float, *, by: Blamed, over: Over | None = None, limit: int = 100
    ) -> list[Blame]:
        bad = (row for row in self._eligible(since, until) if is_bad(row, over))
        return most_blamed(collections.Counter(key_of(row, by) for row in bad), limit)

    def peaks(self, *, among: int) -> list[Peak]:
        return peaks_of(json.loads(row.body) for row in self._newest(RequestEvent.dataset)[: max(0, among)])

    def samples(self, since: float, until: float) -> list[Document]:
        ordered = sorted(self._of(SampleEvent.dataset, since, until), key=lambda row: row.at)
        return [json.loads(row.body) for row in ordered]

    def alerts(self, *, limit: int = 100) -> list[Document]:
        return [json.loads(row.body) for row in self._newest(AlertEvent.dataset)[: max(0, limit)]]

    def benchmarks(self, *, limit: int = 20, suite: str | None = "self") -> list[Document]:
        runs: list[Document] = [json.loads(row.body) for row in self._newest(BenchmarkEvent.dataset)]
        wanted = [run for run in runs if suite is None or run.get(name_of(BenchmarkEvent, "suite")) == suite]
        return wanted[: max(0, limit)]

    def totals(self) -> dict[str, int]:
        with self._lock:
            return dict(collections.Counter(row.dataset for row in self._events.values()))

    def prune(self, before: Mapping[Kept, float], *, limit: int = 2000) -> int:
        with self._lock:
            for kept, moment in before.items():
                self._pruned[kept] = max(hour_of(moment), self._pruned.get(kept, -math.inf))
            rows = sorted(self._events.values(), key=lambda row: row.at)
            old = [row for row in rows if row.at < self._pruned.get(kept_as(row.dataset), -math.inf)][:limit]
            for row in old:
                del self._events[row.event_id]
        return len(old)

    def load_state(self, key: str) -> Any:
        written = self._states.get(key)
        return None if written is None else json.loads(written)

    def save_state(self, key: str, value: Any) -> None:
        self._states[key] = json.dumps(value)

    def close(self) -> None:
        """Nothing to release."""

    def _of(self, dataset: str, since: float, until: float) -> Iterator[Columns]:
        with self._lock:
            rows = list(self._events.values())
        return (row for row in rows if row.dataset == dataset and since <= row.at < until)

    def _eligible(self, since: float, until: float) -> Iterator[Columns]:
        return (row for row in self._of(REQUEST, since, until) if row.eligible)

    def _successful(self, since: float, until: float) -> Iterator[Columns]:
        return (row for row in self._of(REQUEST, since, until) if row.outcome == "success" and not row.synthetic)

    def _newest(self, dataset: str) -> list[Columns]:
        """Newest first; of two at the same moment, the one recorded later."""
        with self._lock:
            latest_first = [row for row in reversed(self._events.values()) if row.dataset == dataset]
        return sorted(latest_first, key=lambda row: -row.at)
