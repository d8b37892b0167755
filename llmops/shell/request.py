"""`llmops requests show`: one request in full, its phases as a bar, and what the hardware did meanwhile."""

from __future__ import annotations

import contextlib
import statistics
import sys
from collections.abc import Iterator, Sequence
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from llmops.events import Document, RequestEvent, SampleEvent
from llmops.events.names import fields_of, name_of, seconds_of
from llmops.settings import Settings
from llmops.shell.tabular import print_json, shown
from llmops.store.columns import peaks_of
from llmops.store.contract import Questions
from llmops.store.energy import Energy, energy
from llmops.store.errors import StoreUnreadable
from llmops.store.sqlite import open_store
from llmops.untrusted import safe_line, spelled_out, with_markup

_PHASES = (("queue_s", "queue", "yellow"), ("prefill_s", "prefill", "cyan"), ("decode_s", "decode", "green"))
_BAR = 60
_AROUND_S = 1.0
"""Samples come every second: one before and one after belong to a request shorter than that."""
_GIB = 1 << 30
_BLOCKS = "▁▂▃▄▅▆▇█"
_METERS = (
    ("utilization", "busy", 100.0, "%"),
    ("memory_used_bytes", "memory", 1 / _GIB, "GiB"),
    ("power_w", "power", 1.0, "W"),
    ("temperature_c", "temperature", 1.0, "°C"),
    ("cpu_utilization", "CPU", 100.0, "%"),
    ("requests_running", "running", 1.0, ""),
    ("requests_waiting", "waiting", 1.0, ""),
)
"""Attribute of a sample, what it is called, from its unit to the one that is shown."""


def run(settings: Settings, request_id: str, *, as_json: bool) -> int:
    """Print it; 1 when there is no such request, 2 without a record. An id as an alert spells it is found too."""
    try:
        with contextlib.closing(open_store(settings.state.store, read_only=True)) as store:
            return _show(store, request_id, as_json=as_json)
    except StoreUnreadable as error:
        print(f"llmops requests: {spelled_out(str(error))}", file=sys.stderr)
        return 2


def _show(store: Questions, request_id: str, *, as_json: bool) -> int:
    documents = store.request(request_id) or store.request(with_markup(request_id))
    if not documents:
        problem = f"no request has the id {request_id!r}, or more than one begins so; `llmops requests` lists them."
        print(f"llmops requests: {spelled_out(problem)}", file=sys.stderr)
        return 1
    told = [(document, *_meanwhile(store, document)) for document in documents]
    if as_json:
        print_json(
            [{"request": one, "samples": samples, "energy_j": _joules(one, used)} for one, samples, used in told]
        )
        return 0
    console = Console(highlight=False)
    for document, samples, used in told:
        _print(console, document, samples, used)
    return 0


def span_of(document: Document) -> tuple[float, float]:
    """From arrival to end, in Unix seconds."""
    end = seconds_of(document["@timestamp"])
    return end - _seconds(document, "duration_s"), end


def _meanwhile(store: Questions, document: Document) -> tuple[list[Document], Energy | None]:
    begin, end = span_of(document)
    return store.samples(begin - _AROUND_S, end + _AROUND_S), energy(store, begin, end)


def _joules(document: Document, used: Energy | None) -> float | None:
    return used.by_request.get(document["event.id"]) if used else None


def _print(console: Console, document: Document, samples: Sequence[Document], used: Energy | None) -> None:
    console.print(f"[bold]{escape(safe_line(document.get(name_of(RequestEvent, 'request_id'), '?')))}[/]")
    if bar := _phases(document):
        console.print(bar)
    joules = _joules(document, used)
    if used is not None and joules is not None:
        others = len(used.by_request) - 1
        console.print(f"{joules:.1f} J, its share of {used.total_j:.1f} J beside {others} other requests")
    for peak in peaks_of([document]):
        over = peak.measured_bytes / peak.predicted_bytes - 1 if peak.predicted_bytes else 0.0
        console.print(
            f"{peak.measured_bytes / _GIB:.2f} GiB of the card at most, {peak.predicted_bytes / _GIB:.2f} predicted "
            f"({over:+.1%})"
        )
    rows = Table("meanwhile", "", "least", "mean", "most", box=None, pad_edge=False, header_style="bold")
    for row in _meters(samples):
        rows.add_row(*(escape(safe_line(cell)) for cell in row))
    if rows.row_count:
        console.print(rows)
    fields = Table(show_header=False, box=None, pad_edge=False)
    own = {"@timestamp", *(name for name, _ in fields_of(RequestEvent).values())}
    for name in sorted(document, key=lambda name: name not in own):
        fields.add_row(f"[dim]{escape(safe_line(name))}[/]", escape(safe_line(_text(document[name]))))
    console.print(fields)


def _phases(document: Document) -> str:
    """Queue, prefill and decode, true to scale; empty when none is known."""
    seconds = [_seconds(document, attribute) for attribute, _, _ in _PHASES]
    whole = sum(seconds)
    if whole <= 0:
        return ""
    edges = [round(sum(seconds[: index + 1]) / whole * _BAR) for index in range(len(seconds))]
    widths = [edge - before for edge, before in zip(edges, [0, *edges], strict=False)]
    bar = "".join(f"[{color}]{'█' * width}[/]" for width, (_, _, color) in zip(widths, _PHASES, strict=True))
    told = (f"{name} {1000 * value:.0f} ms" for value, (_, name, _) in zip(seconds, _PHASES, strict=True))
    return f"{bar}\n{', '.join(told)}"


def _meters(samples: Sequence[Document]) -> Iterator[tuple[str, ...]]:
    """Of each device, what it tells: a small chart, and least, mean and most."""
    devices: dict[str, list[Document]] = {}
    for sample in samples:
        devices.setdefault(str(sample.get(name_of(SampleEvent, "device_name"), "?")), []).append(sample)
    for device, seen in devices.items():
        for attribute, name, factor, unit in _METERS:
            field = name_of(SampleEvent, attribute)
            values = [float(sample[field]) * factor for sample in seen if isinstance(sample.get(field), int | float)]
            if values:
                told = (
                    f"{value:.1f} {unit}".rstrip() for value in (min(values), statistics.fmean(values), max(values))
                )
                yield f"{device} {name}", _small_chart(values), *told


def _small_chart(values: Sequence[float]) -> str:
    """The last values as blocks, from the least to the most of them."""
    low, high = min(values), max(values)
    span = high - low or 1.0
    return "".join(_BLOCKS[round((value - low) / span * (len(_BLOCKS) - 1))] for value in values[-_BAR // 2 :])


def _seconds(document: Document, attribute: str) -> float:
    value = document.get(name_of(RequestEvent, attribute))
    return max(0.0, float(value)) if isinstance(value, int | float) else 0.0


def _text(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else shown(value)
