"""All objectives judged over 30 days of 10 million requests: how long a look takes, and whether memory stays bounded.

`python -m benchmarks.judging [--requests 10000000] [--runs 50]`. The store is made as benchmarks.percentiles makes it;
probes of a canary, one a minute, are added. A look judges four objectives over eight windows each: first all of them
counted anew, as at a start and whenever an alert begins, then as watch looks, once a second.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks.percentiles import DAYS, LATE_S, NOW, SLOW_S, make
from llmops.events import BenchmarkEvent, Origin
from llmops.slo import Guard, Objective, default_objectives
from llmops.store import SqliteStore, open_store
from llmops.watching.judging import Judge

GOAL_S, GOAL_GROWTH_MB = 0.100, 16.0
WINDOW_S = 86400.0 * DAYS
OBJECTIVES = (
    *default_objectives(
        window_s=WINDOW_S,
        latency_threshold_s=SLOW_S,
        latency_target=0.99,
        availability_target=0.999,
        ttft_threshold_s=LATE_S,
        ttft_target=0.95,
    ),
    Objective(id="canary", measure="probe", target=0.99, window_s=WINDOW_S),
)


def main() -> None:
    """Print the time of looks, and what memory grew by."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--requests", type=int, default=10_000_000)
    parser.add_argument("--runs", type=int, default=50)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "store.sqlite"
        make(path, arguments.requests)
        with contextlib.closing(open_store(path, slow_s=SLOW_S, late_s=LATE_S)) as store:
            probe(store)
        with contextlib.closing(open_store(path, read_only=True)) as store:
            measure(store, arguments.runs)


def probe(store: SqliteStore) -> None:
    """A canary's month: one probe a minute, of which every five hundredth fails."""
    origin = Origin(
        service_name="watch", service_version="0", instance_id="a1", host_name="box", host_id="h1", process_id=1
    )
    for first in range(0, DAYS * 1440, 5000):
        store.record(
            [
                origin.document(
                    BenchmarkEvent(
                        at=NOW - 60.0 * minute,
                        benchmark_id=f"p{minute}",
                        suite="canary",
                        completed=int(minute % 500 > 0),
                        failed=int(minute % 500 == 0),
                    )
                )
                for minute in range(first, min(first + 5000, DAYS * 1440))
            ]
        )


def measure(store: SqliteStore, runs: int) -> None:
    """Each kind of look at its median and worst."""
    judge = Judge(store, OBJECTIVES, Guard())

    def anew(number: int) -> None:
        judge.forget()
        judge.verdicts(NOW - number)

    def next_second(number: int) -> None:
        judge.verdicts(NOW - 10 * runs + number)

    anew(0)
    for verdict in judge.verdicts(NOW):
        print(f"{verdict.objective.id}: {verdict.state}, {verdict.whole.bad} bad of {verdict.whole.total}")
    before_mb = resident_mb()
    report("all windows counted anew", runs, anew)
    report("as watch looks, once a second", 10 * runs, next_second)
    growth_mb = resident_mb() - before_mb
    print(f"memory grew by {growth_mb:.1f} MB over {11 * runs} looks; goal: {growth_mb <= GOAL_GROWTH_MB}")


def report(name: str, runs: int, look: Callable[[int], None]) -> None:
    """Run it so many times."""
    times = []
    for number in range(runs):
        began = time.perf_counter()
        look(number)
        times.append(time.perf_counter() - began)
    middle, worst = statistics.median(times), max(times)
    print(f"{name}: median {1e3 * middle:.1f} ms, worst {1e3 * worst:.1f} ms; goal: {worst < GOAL_S}")


def resident_mb() -> float:
    """What of this process is in memory now."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


if __name__ == "__main__":
    main()
