"""`llmops bench`: measure the running server now, print it, keep it, compare it with the run before."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys

from rich.console import Console

from llmops.bench.compare import baseline_among, compare
from llmops.bench.run import run_benchmark
from llmops.bench.table import as_table
from llmops.client import RequestRefused, ServeUnreachable
from llmops.events.names import to_fields
from llmops.recording import open_record
from llmops.settings import Settings
from llmops.shell.record import readable_store
from llmops.untrusted import safe_line


def run(settings: Settings, url: str, *, as_json: bool) -> int:
    """0 when every request was answered, 1 when some failed or nobody answered."""
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
        console = Console(highlight=False)
        done = f"{result.completed} of {result.completed + result.failed} requests, {result.concurrency} at once"
        console.print(f"{safe_line(str(result.request_model))}: {done}, {result.duration_s:.1f} s")
        console.print(as_table(result, baseline))
        if result.baseline_id is None:
            console.print("No earlier run of this model and load to compare with.")
        elif result.regression:
            console.print("[yellow]Slower than the run before, beyond noise.[/]")
    return 1 if result.failed else 0
