"""The self-benchmarks that watch runs: asks first whether users are waiting, keeps what was measured."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from llmops.bench.compare import baseline_among, compare
from llmops.bench.run import GaveWay, run_benchmark
from llmops.bench.schedule import Schedule, busy
from llmops.client import RequestRefused, ServeUnreachable, fetch_snapshot
from llmops.events import BenchmarkEvent, Emit
from llmops.settings import BenchSettings
from llmops.store import open_store
from llmops.store.errors import StoreUnreadable

_log = logging.getLogger(__name__)


def schedule_benchmarks(
    dials: BenchSettings, url: str, store_path: Path, emit: Emit, api_key: str | None = None
) -> Schedule:
    """A schedule that was not started yet; its runs happen on a thread of its own."""

    stopping = threading.Event()

    def measure() -> BenchmarkEvent | None:
        """None while users are there."""
        if busy(fetch_snapshot(url, api_key=api_key)):
            return None
        measured = asyncio.run(
            run_benchmark(
                url,
                requests=dials.requests,
                concurrency=dials.concurrency,
                max_tokens=dials.max_tokens,
                trigger="schedule",
                stop=stopping,
                api_key=api_key,
            )
        )
        return compare(measured, baseline_among(measured, _earlier(store_path)))

    def run() -> bool:
        try:
            result = measure()
            if result is not None and result.regression:  # a neighbour's moment, perhaps: the better of two counts
                again = measure()
                if again is None:
                    return False
                result = again if not again.regression or _speed(again) > _speed(result) else result
            if result is None:
                return False
        except (ServeUnreachable, RequestRefused) as error:
            _log.info("no self-benchmark now: %s", error)
            return False
        except GaveWay:
            return False
        if not stopping.is_set():
            emit(result)
        return True

    return Schedule(run, interval_s=dials.interval_s, retry_s=dials.retry_s, stopping=stopping)


def _speed(run: BenchmarkEvent) -> float:
    return run.output_tokens_per_s or 0.0


def _earlier(store_path: Path) -> Sequence[Mapping[str, Any]]:
    """The runs before, newest first, through a reader of this thread's own."""
    try:
        with contextlib.closing(open_store(store_path, read_only=True)) as store:
            return store.benchmarks(limit=20)
    except StoreUnreadable:
        return ()
