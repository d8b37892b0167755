"""A run as a table, with the run before beside it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.table import Table

from llmops.events import BenchmarkEvent
from llmops.events.names import name_of

_TIMES = (("TTFT", "ttft"), ("TPOT", "tpot"), ("ITL", "itl"), ("E2E", "e2e"))
_RATES = (
    ("output tokens/s", "output_tokens_per_s"),
    ("requests/s", "requests_per_s"),
    ("goodput requests/s", "goodput_per_s"),
)


def as_table(run: BenchmarkEvent, baseline: Mapping[str, Any] | None, unlike: Mapping[str, Any] | None = None) -> Table:
    """Times in milliseconds; `before` and `change` are of P50, and only where the two runs compare.

    unlike: a run of something else, which is shown under another heading.
    """
    before = baseline if run.baseline_id is not None else unlike
    table = Table("metric", box=None, pad_edge=False)
    headings = ("before", "change") if before is not unlike or unlike is None else ("unlike run", "difference")
    for heading in ("mean", "P50", "P95", "P99", *headings):
        table.add_column(heading, justify="right")
    for label, name in _TIMES:
        cells = (_ms(getattr(run, f"{name}_{what}_s")) for what in ("mean", "p50", "p95", "p99"))
        was, now = _before(before, f"{name}_p50_s"), getattr(run, f"{name}_p50_s")
        table.add_row(f"{label} (ms)", *cells, _ms(was), _change(now, was))
    for label, name in _RATES:
        was, now = _before(before, name), getattr(run, name)
        table.add_row(label, _number(now), "", "", "", _number(was), _change(now, was))
    return table


def _before(document: Mapping[str, Any] | None, attribute: str) -> float | None:
    return document.get(name_of(BenchmarkEvent, attribute)) if document else None


def _ms(seconds: float | None) -> str:
    return "--" if seconds is None else f"{1000 * seconds:.1f}"


def _number(value: float | None) -> str:
    return "--" if value is None else f"{value:.2f}"


def _change(now: float | None, was: float | None) -> str:
    return "--" if now is None or not was else f"{100 * (now - was) / was:+.1f} %"
