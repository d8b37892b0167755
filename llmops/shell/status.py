"""`llmops status`: one look at everything, for a person or for a script."""

from __future__ import annotations

import dataclasses
import functools
import json
import time
from collections.abc import Iterator

from rich.markup import escape
from rich.table import Table

from llmops.client import fetch_snapshot
from llmops.elastic.report import FILE as SHIP_FILE
from llmops.elastic.report import read_report
from llmops.events.speed import StreamSpeed
from llmops.overview import Overview, exit_code, look, to_json
from llmops.settings import Settings
from llmops.shell.console import console_for
from llmops.shell.devices import device_rows
from llmops.shell.record import readable_store
from llmops.store.contract import Percentiles
from llmops.untrusted import safe_line


def run(settings: Settings, url: str, *, as_json: bool) -> int:
    """Print it; 0 ok, 1 degraded, 2 neither serve nor record can be read."""
    fetch = functools.partial(fetch_snapshot, api_key=settings.watch.key)
    with readable_store(settings.state.store) as (store, problem):
        overview = look(
            store, url, time.time(), objectives=settings.objectives, journal=settings.state.journal, fetch=fetch
        )
    shipping = read_report(settings.state.ship / SHIP_FILE)
    if as_json:
        ship = None if shipping is None else dataclasses.asdict(shipping)
        told = to_json(overview) | {"ship": ship, "record_problem": problem}
        print(json.dumps(told, indent=2, ensure_ascii=False))
    else:
        table = as_table(overview, problem)
        if shipping is not None:
            table.add_row("[bold]ship[/]", escape(safe_line(shipping.sentence())))
        console_for().print(table)
    return exit_code(overview)


def as_table(overview: Overview, problem: str | None) -> Table:
    """The look as rows of name and value. problem: why the record can't be read."""
    table = Table(show_header=False, box=None, pad_edge=False)
    for name, value in _rows(overview):
        table.add_row(f"[bold]{name}[/]", escape(safe_line(value)))
    if problem is not None:
        table.add_row("[bold]record[/]", escape(safe_line(problem)))
    return table


def _rows(overview: Overview) -> Iterator[tuple[str, str]]:
    yield "health", f"{overview.health} ({overview.reason.replace('_', ' ')})"
    serve = overview.serve
    if serve is None:
        yield "serve", overview.serve_error or "unreachable"
    else:
        model = serve.model
        yield "serve", f"{serve.state} on {overview.url}"
        yield "model", f"{model.id} {model.version[:12]} {model.dtype or ''} {model.quantization or ''}".rstrip()
        yield "requests", f"{serve.running} running, {serve.waiting} of {serve.waiting_capacity} waiting"
        if serve.room_tokens is not None:
            yield "room", f"{serve.room_tokens:,} tokens of prompt and answer fit now"
        yield "pace", f"{serve.output_tokens_per_s:.1f} tokens/s"
        expected = StreamSpeed(serve.expected_output_tokens_per_s, serve.expected_input_tokens_per_s)
        yield "speed", expected.sentence()
        yield from device_rows(serve.devices)
    minutes = overview.window_s / 60
    yield f"last {minutes:g} min", ", ".join(f"{n} {what}" for what, n in overview.outcomes.items()) or "no requests"
    yield "latency", _percentiles(overview.latency)
    yield "first token", _percentiles(overview.first_token)
    if overview.objectives_error is not None:
        yield "slo", overview.objectives_error
    for chip in overview.slo:
        ratio = "--" if chip.good_ratio is None else f"{100 * chip.good_ratio:.2f} %"
        spent = f"{chip.bad} of {chip.allowed_bad} failures used"
        yield f"slo {chip.name}", f"{chip.state}: {ratio} of {chip.total} good, target {100 * chip.target:g} %, {spent}"
        if chip.unattainable is not None:
            yield "", f"{chip.unattainable}"
    for alert in overview.alerts:
        yield "alert", f"{alert.name}: {alert.state} ({alert.severity}), {alert.reason}"
    yield "journal", _journal(overview)


def _journal(overview: Overview) -> str:
    told = [] if overview.journal_bytes is None else [f"{overview.journal_bytes / 2**20:,.1f} MiB on disk"]
    serve = overview.serve
    if serve is not None:
        told.append(f"{serve.events_waiting} events in memory, {serve.events_dropped} lost")
        told.extend([f"cannot be written: {serve.events_trouble}"] if serve.events_trouble else [])
    return ", ".join(told) or "--"


def _percentiles(values: Percentiles) -> str:
    if values.p50 is None or values.p95 is None or values.p99 is None:
        return "--"
    return f"P50 {values.p50:.3f} s, P95 {values.p95:.3f} s, P99 {values.p99:.3f} s over {values.count}"
