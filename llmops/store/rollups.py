"""Sums over whole minutes and hours, kept beside the rows: what a month of requests is asked for in milliseconds."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from typing import Any, TypeAlias

from llmops.store.columns import REQUEST, Columns
from llmops.store.covering import HOUR_S, MINUTE_S
from llmops.store.sketch import Sketch

UsageKey: TypeAlias = tuple[int, str, str, str, str, int]
"""Hour, user, model, version ("" where there is none), what became of it, synthetic."""

_COUNTS = (
    *("eligible", "eligible_failed", "slow", "requests", "failed", "output_tokens", "awaited", "late"),
    *("limited", "over_limit"),
)
"""Eligible requests first; `awaited` of them had a first token or failed before it, `late` of those were bad;
`limited` of them had a limit of their own, `over_limit` of those took longer."""
_SKETCHES = ("duration_s", "ttft_s", "tpot_s", "queue_s", "judged_s", "judged_ttft_s")
"""Of successful requests that are not synthetic; `judged_s` are the durations of eligible ones, `judged_ttft_s` their
first tokens."""
FIRST_TOKENS = ("late_s", "awaited", "late", "judged_ttft_s")
COLUMNS = ("slow_s", "late_s", *_COUNTS, "longest_s", *_SKETCHES)
LIMITS = ("limited", "over_limit")
WITHOUT_FIRST_TOKENS = tuple(name for name in COLUMNS if name not in (*FIRST_TOKENS, *LIMITS))
"""What the first layout with rollups had."""


class Tally:
    """What is known of the requests of one minute or hour."""

    __slots__ = ("counts", "longest_s", "sketches")

    def __init__(self) -> None:
        self.counts = [0] * len(_COUNTS)
        self.longest_s: float | None = None
        self.sketches = tuple(Sketch() for _ in _SKETCHES)

    def take(self, row: Columns, slow_s: float, late_s: float) -> None:
        """Count one request."""
        counts, duration_s = self.counts, row.duration_s
        if row.eligible:
            counts[0] += 1
            counts[1] += row.failed
            counts[2] += (duration_s or 0.0) > slow_s
            if duration_s is not None:
                self.sketches[4].add(duration_s)
            if row.ttft_s is not None:
                counts[6] += 1
                counts[7] += row.ttft_s > late_s
                self.sketches[5].add(row.ttft_s)
            elif row.failed:
                counts[6] += 1
                counts[7] += 1
            if row.over_limit is not None:
                counts[8] += 1
                counts[9] += row.over_limit
        if row.synthetic:
            return
        counts[3] += 1
        counts[4] += row.failed
        counts[5] += row.output_tokens or 0
        if duration_s is not None and (self.longest_s is None or duration_s > self.longest_s):
            self.longest_s = duration_s
        if row.outcome == "success":
            for sketch, value in zip(self.sketches, (duration_s, row.ttft_s, row.tpot_s, row.queue_s), strict=False):
                if value is not None:
                    sketch.add(value)

    def merge(self, other: Tally) -> None:
        """Count what the other counted."""
        self.counts = [mine + theirs for mine, theirs in zip(self.counts, other.counts, strict=True)]
        if other.longest_s is not None:
            self.longest_s = max(other.longest_s, self.longest_s or other.longest_s)
        for mine, theirs in zip(self.sketches, other.sketches, strict=True):
            mine.merge(theirs)

    def written(self) -> dict[str, Any]:
        """By the names of the columns."""
        sketches = (sketch.to_bytes() if sketch.count else None for sketch in self.sketches)
        return dict(zip((*_COUNTS, "longest_s", *_SKETCHES), (*self.counts, self.longest_s, *sketches), strict=True))


class Rollups:
    """The sums that a batch of new requests adds. Nothing is written before `write`."""

    def __init__(self, slow_s: float, late_s: float) -> None:
        self._slow_s = slow_s
        self._late_s = late_s
        self._minutes: dict[int, Tally] = {}
        self._usage: dict[UsageKey, list[int]] = {}

    def take(self, rows: Iterable[Columns]) -> None:
        """Count the requests among these rows."""
        minutes, usage, slow_s, late_s = self._minutes, self._usage, self._slow_s, self._late_s
        for row in rows:
            if row.dataset != REQUEST:
                continue
            minute = int(row.at // MINUTE_S) * MINUTE_S
            tally = minutes.get(minute)
            if tally is None:
                tally = minutes[minute] = Tally()
            tally.take(row, slow_s, late_s)
            became = (row.error_type or "_OTHER") if row.failed else row.outcome or ""
            key = (minute // HOUR_S * HOUR_S, row.user or "", row.model or "", row.version or "", became, row.synthetic)
            had = usage.get(key)
            if had is None:
                had = usage[key] = [0, 0, 0, 0]
            had[0] += 1
            had[1] += row.failed
            had[2] += row.input_tokens or 0
            had[3] += row.output_tokens or 0

    def write(self, connection: sqlite3.Connection, columns: Sequence[str] = COLUMNS) -> None:
        """Add them to what is there, within the caller's transaction. `columns`: those that the table has."""
        connection.executemany(_added(columns), self._rows())
        connection.executemany(_ADD_USAGE, [(*key, *had) for key, had in self._usage.items()])

    def write_first_tokens(self, connection: sqlite3.Connection) -> None:
        """Add what is known of first tokens to sums that had nothing of them."""
        connection.executemany(_ADD_FIRST_TOKENS, self._rows())

    def _rows(self) -> list[dict[str, Any]]:
        hours: dict[int, Tally] = {}
        for minute, tally in self._minutes.items():
            hours.setdefault(minute // HOUR_S * HOUR_S, Tally()).merge(tally)
        thresholds = {"slow_s": self._slow_s, "late_s": self._late_s}
        return [
            {"step_s": step_s, "start": start, **thresholds, **tally.written()}
            for step_s, tallies in ((MINUTE_S, self._minutes), (HOUR_S, hours))
            for start, tally in tallies.items()
        ]


TABLES = (
    """CREATE TABLE rollup (
  step_s INTEGER NOT NULL, start INTEGER NOT NULL, slow_s REAL NOT NULL,
  eligible INTEGER NOT NULL, eligible_failed INTEGER NOT NULL, slow INTEGER NOT NULL, requests INTEGER NOT NULL,
  failed INTEGER NOT NULL, output_tokens INTEGER NOT NULL,
  longest_s REAL, duration_s BLOB, ttft_s BLOB, tpot_s BLOB, queue_s BLOB, judged_s BLOB,
  PRIMARY KEY (step_s, start)) WITHOUT ROWID""",
    """CREATE TABLE usage (
  start INTEGER NOT NULL, user TEXT NOT NULL, model TEXT NOT NULL, version TEXT NOT NULL, became TEXT NOT NULL,
  synthetic INTEGER NOT NULL, requests INTEGER NOT NULL, failed INTEGER NOT NULL, input_tokens INTEGER NOT NULL,
  output_tokens INTEGER NOT NULL, PRIMARY KEY (start, user, model, version, became, synthetic)) WITHOUT ROWID""",
)
"""As the first layout with rollups made them."""


def _sums(columns: Sequence[str]) -> str:
    """How these columns of two sums become those of one; a threshold stays as it was."""
    together = {name: f"{name} + :{name}" for name in _COUNTS}
    together |= {name: f"sketch_sum({name}, :{name})" for name in _SKETCHES}
    together["longest_s"] = "coalesce(max(longest_s, :longest_s), longest_s, :longest_s)"
    return ", ".join(f"{name} = {together[name]}" for name in columns if name in together)


def _added(columns: Sequence[str]) -> str:
    return f"""
INSERT INTO rollup (step_s, start, {", ".join(columns)})
VALUES (:step_s, :start, {", ".join(f":{name}" for name in columns)})
ON CONFLICT(step_s, start) DO UPDATE SET {_sums(columns)}"""  # noqa: S608


_ADD_FIRST_TOKENS = f"UPDATE rollup SET {_sums(FIRST_TOKENS)} WHERE step_s = :step_s AND start = :start"  # noqa: S608

_ADD_USAGE = """
INSERT INTO usage VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT(start, user, model, version, became, synthetic) DO UPDATE SET requests = requests + excluded.requests,
  failed = failed + excluded.failed, input_tokens = input_tokens + excluded.input_tokens,
  output_tokens = output_tokens + excluded.output_tokens"""

_ROWS_OF_IT = "FROM event INDEXED BY eligible_time WHERE eligible = 1 AND at >= start AND at < start + step_s"
RECOUNT_SLOW = f"""
UPDATE rollup SET slow_s = :over_s, slow = (SELECT count(*) {_ROWS_OF_IT} AND duration_s > :over_s)
WHERE start >= :since AND slow_s <> :over_s"""  # noqa: S608
"""After the threshold was changed: every rollup whose rows are still there counts anew."""
RECOUNT_LATE = f"""
UPDATE rollup SET late_s = :over_s, late = (
  SELECT coalesce(sum(coalesce(ttft_s > :over_s, failed)), 0) {_ROWS_OF_IT})
WHERE start >= :since AND late_s <> :over_s"""  # noqa: S608


def can_sum(connection: sqlite3.Connection) -> None:
    """Teach a connection to add histograms; each that writes rollups needs it."""
    connection.create_function("sketch_sum", 2, _sketch_sum, deterministic=True)


def _sketch_sum(one: bytes | None, other: bytes | None) -> Any:
    if one is None or other is None:
        return one or other
    whole = Sketch.from_bytes(one)
    whole.merge_bytes(other)
    return whole.to_bytes()
