"""Percentiles and objectives over 30 days of 10 million requests, through rollups; how near the exact value they come.

`python -m benchmarks.percentiles [--requests 10000000] [--runs 20]`. The rollups are made with the store's own code, of
real histograms of every value; rows are left out except those of the last hours, which a window's ends need: 10 million
rows would be 25 GB. The exact arm sorts all durations in memory (NumPy) and reads the nearest rank; beside it stands
what the same question costs SQLite over bare durations in an index, which is what there would be without rollups.
"""

from __future__ import annotations

import argparse
import contextlib
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from llmops.events import Origin, RequestEvent
from llmops.overview.objectives import chips
from llmops.settings import ObjectiveSettings
from llmops.store import SqliteStore, open_store
from llmops.store.rollups import Rollups, Tally, can_sum
from llmops.store.sketch import bucket_of

DAYS, SLOW_S, LATE_S, USERS = 30, 3.0, 2.0, 20
NOW = 1_790_000_000 // 60 * 60 + 17.25
"""The window begins and ends within a minute: its ends are answered from rows."""
DIALS = ObjectiveSettings()
GOAL_S, GOAL_ERROR, GOAL_COUNTS_S = 0.150, 0.015, 0.100


def main() -> None:
    """Print each question with its time, and its distance from the exact answer."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--requests", type=int, default=10_000_000)
    parser.add_argument("--runs", type=int, default=20)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "store.sqlite"
        began = time.perf_counter()
        moments, durations, firsts = make(path, arguments.requests)
        size_mb = path.stat().st_size / 1e6
        print(
            f"{arguments.requests} requests as rollups: {size_mb:.0f} MB, made in {time.perf_counter() - began:.0f} s"
        )
        is_inside = (moments >= NOW - 86400 * DAYS) & (moments < NOW)
        with contextlib.closing(open_store(path, read_only=True)) as store:
            measure(store, durations[is_inside], firsts[is_inside], arguments.runs)
        print(f"without rollups: {without_rollups(Path(name) / 'bare.sqlite', moments, durations):.2f} s for one P99")


def make(path: Path, requests: int) -> tuple[Any, Any, Any]:
    """The file; each request's moment, duration and first token. Traffic follows the day, durations the traffic."""
    chance = np.random.default_rng(7)
    moments = np.sort(NOW - 86400 * DAYS + chance.beta(0.9, 0.9, requests) * 86400 * DAYS)
    busy = 1 + 0.5 * np.sin(moments / 86400 * 2 * np.pi)
    durations = chance.lognormal(np.log(0.5 * busy), 0.8)
    firsts = durations * chance.uniform(0.05, 0.95, requests)
    store = open_store(path, slow_s=SLOW_S, late_s=LATE_S)
    edges = (moments < NOW - 86400 * DAYS + 3600) | (moments >= NOW - 7200)
    record(store, moments[edges], durations[edges], firsts[edges])
    store.close()
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as connection:
        can_sum(connection)
        write_rollups(connection, moments[~edges], durations[~edges], firsts[~edges])
    return moments, durations, firsts


def record(store: SqliteStore, moments: Any, durations: Any, firsts: Any) -> None:
    """The way that watch takes them: as documents."""
    origin = Origin(
        service_name="serve", service_version="0", instance_id="a1", host_name="box", host_id="h1", process_id=1
    )
    values = zip(moments.tolist(), durations.tolist(), firsts.tolist(), strict=True)
    documents = [origin.document(event) for event in map(_event, range(len(moments)), values)]
    for first in range(0, len(documents), 5000):
        store.record(documents[first : first + 5000])


def _event(number: int, values: tuple[float, float, float]) -> RequestEvent:
    at, duration_s, ttft_s = values
    user = f"{number % USERS:016x}"
    return RequestEvent(at=at, request_id=f"r{number}", duration_s=duration_s, ttft_s=ttft_s, user_hash=user)


def write_rollups(connection: sqlite3.Connection, moments: Any, durations: Any, firsts: Any) -> None:
    """What `Rollups.take` would have made of these rows, minute by minute; histograms are counted by NumPy."""
    minutes = (moments // 60).astype(np.int64)
    starts = np.flatnonzero(np.diff(minutes, prepend=-1))
    indexes = [np.ceil(np.log2(values) * 64).astype(np.int64) - 1 for values in (durations, firsts)]
    assert indexes[0][0] == bucket_of(float(durations[0]))
    batch = Rollups(SLOW_S, LATE_S)
    connection.execute("BEGIN")
    for number, (begin, end) in enumerate(zip(starts, [*starts[1:], len(minutes)], strict=True)):
        start, many = int(minutes[begin]) * 60, int(end - begin)
        tally = batch._minutes[start] = Tally()
        slow, late = int((durations[begin:end] > SLOW_S).sum()), int((firsts[begin:end] > LATE_S).sum())
        tally.counts = [many, 0, slow, many, 0, 0, many, late]
        tally.longest_s = float(durations[begin:end].max())
        for values, places in zip(indexes, ((0, 4), (1, 5)), strict=True):
            found, counts = np.unique(values[begin:end], return_counts=True)
            for place in places:
                tally.sketches[place].buckets.update(zip(found.tolist(), counts.tolist(), strict=True))
        for user in range(USERS):
            key = (start // 3600 * 3600, f"{user:016x}", "", "", "success", 0)
            had = batch._usage.setdefault(key, [0, 0, 0, 0])
            had[0] += many // USERS + (user < many % USERS)
        if number % 600 == 599:
            batch.write(connection)
            batch = Rollups(SLOW_S, LATE_S)
    batch.write(connection)
    connection.execute("COMMIT")


def measure(store: SqliteStore, inside: Any, firsts: Any, runs: int) -> None:
    """Each question at its median and worst of `runs`."""
    since, until = NOW - 86400 * DAYS, NOW
    found = store.percentiles("duration", since, until)
    assert (found.how, found.count) == ("sketch", len(inside)), (found, len(inside))
    for name, near in (("P50", found.p50), ("P95", found.p95), ("P99", found.p99)):
        rank = -(-len(inside) * int(name[1:]) // 100) - 1
        exact = float(np.partition(inside, rank)[rank])
        error = abs((near or 0.0) / exact - 1)
        print(f"{name}: {near:.4f} s, exact {exact:.4f} s, apart {100 * error:.2f} %; goal: {error <= GOAL_ERROR}")
    counts = store.counts(since, until, slow_s=SLOW_S)
    assert (counts.total, counts.slow) == (len(inside), int((inside > SLOW_S).sum()))
    first_tokens = store.first_tokens(since, until, late_s=LATE_S)
    assert (first_tokens.total, first_tokens.bad) == (len(inside), int((firsts > LATE_S).sum()))
    print(f"counts agree to the last one: {counts}, {first_tokens}")
    for name, goal_s, ask in questions(store, since, until):
        times = [_timed(ask) for _ in range(runs)]
        middle, worst = statistics.median(times), max(times)
        print(f"{name}: median {1e3 * middle:.1f} ms, worst {1e3 * worst:.1f} ms; goal: {worst < goal_s}")


def questions(store: SqliteStore, since: float, until: float) -> Iterator[tuple[str, float, Callable[[], Any]]]:
    """Name, goal in seconds, and the question."""
    yield "percentiles of 30 days", GOAL_S, lambda: store.percentiles("duration", since, until)
    yield (
        "requests that failed or were slow in 30 days",
        GOAL_COUNTS_S,
        lambda: store.counts(since, until, slow_s=SLOW_S),
    )
    yield "late first tokens of 30 days", GOAL_COUNTS_S, lambda: store.first_tokens(since, until, late_s=LATE_S)
    yield "a threshold that nobody counted, of 30 days", GOAL_S, lambda: store.counts(since, until, slow_s=1.7)
    yield "all default objectives, every window up to 30 days", GOAL_COUNTS_S, lambda: chips(store, until, DIALS)
    yield "outcomes of 30 days", GOAL_COUNTS_S, lambda: store.outcomes(since, until)
    yield "usage by user of 30 days", GOAL_COUNTS_S, lambda: store.usage(since, until, by="user")
    yield "a chart of 30 days by hour", GOAL_S, lambda: store.series(since // 3600 * 3600, until, 3600.0)


def without_rollups(path: Path, moments: Any, durations: Any) -> float:
    """Seconds for reading all durations of the window from a covering index and sorting them."""
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE bare (at REAL, duration_s REAL, PRIMARY KEY (at, duration_s)) WITHOUT ROWID")
        pairs = zip(moments.tolist(), durations.tolist(), strict=True)
        connection.executemany("INSERT OR IGNORE INTO bare VALUES (?, ?)", pairs)
        connection.commit()
        question = "SELECT duration_s FROM bare WHERE at >= ? AND at < ?"
        span = (NOW - 86400 * DAYS, NOW)
        return _timed(lambda: sorted(row[0] for row in connection.execute(question, span)))


def _timed(ask: Callable[[], Any]) -> float:
    began = time.perf_counter()
    ask()
    return time.perf_counter() - began


if __name__ == "__main__":
    main()
