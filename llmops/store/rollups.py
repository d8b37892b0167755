"""Sums over whole minutes and hours, kept beside the rows: what a month of requests is asked for in milliseconds."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from typing import Any, TypeAlias

from llmops.store.columns import REQUEST, Columns
from llmops.store.covering import HOUR_S, MINUTE_S
from llmops.store.sketch import Sketch

UsageKey: TypeAlias = tuple[int, str, str, str, str, int]
"""Hour, user, model, version ("" where there is none), what became of it, synthetic."""

_COUNTS = ("eligible", "eligible_failed", "slow", "requests", "failed", "output_tokens")
_SKETCHES = ("duration_s", "ttft_s", "tpot_s", "queue_s", "judged_s")
"""Of successful requests that are not synthetic; `judged_s` are the durations of eligible ones."""


class Tally:
    """What is known of the requests of one minute or hour."""

    __slots__ = ("counts", "longest_s", "sketches")

    def __init__(self) -> None:
        self.counts = [0] * len(_COUNTS)
        self.longest_s: float | None = None
        self.sketches = tuple(Sketch() for _ in _SKETCHES)

    def take(self, row: Columns, slow_s: float) -> None:
        """Count one request."""
        counts, duration_s = self.counts, row.duration_s
        if row.eligible:
            counts[0] += 1
            counts[1] += row.failed
            counts[2] += (duration_s or 0.0) > slow_s
            if duration_s is not None:
                self.sketches[4].add(duration_s)
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


class Rollups:
    """The sums that a batch of new requests adds. Nothing is written before `write`."""

    def __init__(self, slow_s: float) -> None:
        self._slow_s = slow_s
        self._minutes: dict[int, Tally] = {}
        self._usage: dict[UsageKey, list[int]] = {}

    def take(self, rows: Iterable[Columns]) -> None:
        """Count the requests among these rows."""
        minutes, usage, slow_s = self._minutes, self._usage, self._slow_s
        for row in rows:
            if row.dataset != REQUEST:
                continue
            minute = int(row.at // MINUTE_S) * MINUTE_S
            tally = minutes.get(minute)
            if tally is None:
                tally = minutes[minute] = Tally()
            tally.take(row, slow_s)
            became = (row.error_type or "_OTHER") if row.failed else row.outcome or ""
            key = (minute // HOUR_S * HOUR_S, row.user or "", row.model or "", row.version or "", became, row.synthetic)
            had = usage.get(key)
            if had is None:
                had = usage[key] = [0, 0, 0, 0]
            had[0] += 1
            had[1] += row.failed
            had[2] += row.input_tokens or 0
            had[3] += row.output_tokens or 0

    def write(self, connection: sqlite3.Connection) -> None:
        """Add them to what is there, within the caller's transaction."""
        hours: dict[int, Tally] = {}
        for minute, tally in self._minutes.items():
            hours.setdefault(minute // HOUR_S * HOUR_S, Tally()).merge(tally)
        rows = [
            (step_s, start, self._slow_s, *tally.counts, tally.longest_s, *map(_written, tally.sketches))
            for step_s, tallies in ((MINUTE_S, self._minutes), (HOUR_S, hours))
            for start, tally in tallies.items()
        ]
        connection.executemany(_ADD, rows)
        connection.executemany(_ADD_USAGE, [(*key, *had) for key, had in self._usage.items()])


TABLES = (
    f"""CREATE TABLE rollup (
  step_s INTEGER NOT NULL, start INTEGER NOT NULL, slow_s REAL NOT NULL,
  {", ".join(f"{name} INTEGER NOT NULL" for name in _COUNTS)},
  longest_s REAL, {", ".join(f"{name} BLOB" for name in _SKETCHES)},
  PRIMARY KEY (step_s, start)) WITHOUT ROWID""",
    """CREATE TABLE usage (
  start INTEGER NOT NULL, user TEXT NOT NULL, model TEXT NOT NULL, version TEXT NOT NULL, became TEXT NOT NULL,
  synthetic INTEGER NOT NULL, requests INTEGER NOT NULL, failed INTEGER NOT NULL, input_tokens INTEGER NOT NULL,
  output_tokens INTEGER NOT NULL, PRIMARY KEY (start, user, model, version, became, synthetic)) WITHOUT ROWID""",
)

_ADD = f"""
INSERT INTO rollup (step_s, start, slow_s, {", ".join(_COUNTS)}, longest_s, {", ".join(_SKETCHES)})
VALUES ({", ".join("?" * (4 + len(_COUNTS) + len(_SKETCHES)))})
ON CONFLICT(step_s, start) DO UPDATE SET
  {", ".join(f"{name} = {name} + excluded.{name}" for name in _COUNTS)},
  longest_s = coalesce(max(longest_s, excluded.longest_s), longest_s, excluded.longest_s),
  {", ".join(f"{name} = sketch_sum({name}, excluded.{name})" for name in _SKETCHES)}"""  # noqa: S608

_ADD_USAGE = """
INSERT INTO usage VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT(start, user, model, version, became, synthetic) DO UPDATE SET requests = requests + excluded.requests,
  failed = failed + excluded.failed, input_tokens = input_tokens + excluded.input_tokens,
  output_tokens = output_tokens + excluded.output_tokens"""

RECOUNT_SLOW = """
UPDATE rollup SET slow_s = :slow_s, slow = (
  SELECT count(*) FROM event INDEXED BY eligible_time
  WHERE eligible = 1 AND at >= start AND at < start + step_s AND duration_s > :slow_s)
WHERE start >= :since AND slow_s <> :slow_s"""
"""After the threshold was changed: every rollup whose rows are still there counts anew."""


def can_sum(connection: sqlite3.Connection) -> None:
    """Teach a connection to add histograms; each that writes rollups needs it."""
    connection.create_function("sketch_sum", 2, _sketch_sum, deterministic=True)


def _written(sketch: Sketch) -> bytes | None:
    return sketch.to_bytes() if sketch.count else None


def _sketch_sum(one: bytes | None, other: bytes | None) -> Any:
    if one is None or other is None:
        return one or other
    whole = Sketch.from_bytes(one)
    whole.merge_bytes(other)
    return whole.to_bytes()
