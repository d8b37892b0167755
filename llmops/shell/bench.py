"""`llmops bench`: measure the running server now, print it, keep it, compare it with the run before."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
from collections.abc import Mapping
from typing import Any

from rich.console import Console

from llmops.bench.compare import (
    THROUGHPUT_DROP_PCT,
    TTFT_RISE_PCT,
    baseline_among,
    compare,
    differences,
    software_changes,
    unlike_among,
)
from llmops.bench.run import run_benchmark
from llmops.bench.table import as_table
from llmops.client import RequestRefused, ServeUnreachable
from llmops.events import BenchmarkEvent
from llmops.events.names import to_fields
from llmops.recording import open_record
from llmops.settings import Settings
from llmops.shell.record import readable_store
from llmops.untrusted import safe_line


def run(settings: Settings, url: str, *, as_json: bool) -> int:
    """0 when every request was answered, 1 when some failed or nobody answered. A regression changes no exit code."""
    dials = settings.bench
    with readable_store(settings.state.store) as (store, _):
        runs = store.benchmarks(limit=20) if store is not None else []
    try:
        measured = asyncio.run(
            run_benchmark(
                url,
                requests=dials.requests,
                concurrency=dials.concurrency,
                max_tokens=dials.max_tokens,
                trigger="manual",
                api_key=settings.watch.key,
            )
        )
    except (ServeUnreachable, RequestRefused) as error:
        print(f"llmops bench: {safe_line(str(error))}", file=sys.stderr)
        return 1
    baseline = baseline_among(measured, runs)
    result = compare(measured, baseline)
    with contextlib.closing(open_record(settings, "bench")) as bus:
        bus.emit(result)
    if as_json:
        print(json.dumps(to_fields(result), indent=2))
    else:
        _print(result, baseline, unlike_among(measured, runs) if baseline is None else None)
    return 1 if result.failed else 0


def _print(result: BenchmarkEvent, baseline: Mapping[str, Any] | None, unlike: Mapping[str, Any] | None) -> None:
    console = Console(highlight=False, markup=False)
    done = f"{result.completed} of {result.completed + result.failed} requests, {result.concurrency} at once"
    console.print(f"{safe_line(result.request_model)}: {done}, {result.duration_s:.1f} s")
    console.print(as_table(result, baseline, unlike))
    console.print(safe_line(verdict(result, baseline, unlike)), soft_wrap=True)


def verdict(result: BenchmarkEvent, baseline: Mapping[str, Any] | None, unlike: Mapping[str, Any] | None) -> str:
    """What the comparison says, or why there is none."""
    if not result.completed:
        return "No request was answered, so nothing was measured; the log of serve says why."
    if unlike is not None:
        others = " and ".join(differences(result, unlike))
        return (
            f"The earlier run differs in {others}: the difference may come from that, so this is no verdict "
            "on a regression."
        )
    if result.baseline_id is None or baseline is None:
        return "No earlier run of this model and load to compare with."
    changed = software_changes(result, baseline)
    also = f" Changed since then: {', '.join(changed)}." if changed else ""
    limits = f"limits -{THROUGHPUT_DROP_PCT:.0f} % and +{TTFT_RISE_PCT:.0f} %"
    found = "Slower than the run before, beyond noise" if result.regression else "No regression against the run before"
    changes = f"output tokens/s {_pct(result.delta_throughput_pct)}, TTFT P50 {_pct(result.delta_ttft_pct)}"
    return f"{found}: {changes} ({limits}).{also}"


def _pct(value: float | None) -> str:
    return "unknown" if value is None else f"{value:+.1f} %"
