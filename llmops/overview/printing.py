"""An overview as JSON, with units in the names of numbers, and as the exit status of a command."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

from llmops.alerts.phrases import Phrase
from llmops.events.names import timestamp
from llmops.overview.contract import Overview
from llmops.store.contract import Percentiles

_EXIT = {"ok": 0, "degraded": 1, "unreadable": 2}


def exit_code(overview: Overview) -> int:
    """0 ok, 1 degraded, 2 neither serve nor store could be read."""
    return _EXIT[overview.health]


def to_json(overview: Overview) -> dict[str, Any]:
    """Plain JSON values, ready for `json.dumps`."""
    return {
        "schema_version": overview.schema_version,
        "at": timestamp(overview.at),
        "url": overview.url,
        "health": overview.health,
        "reason": overview.reason,
        "serve": _plain(overview.serve),
        "serve_error": overview.serve_error,
        "recorded": overview.recorded,
        "record_age_s": _plain(overview.record_age_s),
        "journal_bytes": overview.journal_bytes,
        "events_dropped": overview.events_dropped,
        "events_waiting": overview.events_waiting,
        "window_s": overview.window_s,
        "latency": _percentiles(overview.latency),
        "time_to_first_token": _percentiles(overview.first_token),
        "requests_by_outcome": dict(overview.outcomes),
        "output_tokens_per_s": _plain(overview.output_tokens_per_s),
        "slo": _plain(overview.slo),
        "objectives_error": overview.objectives_error,
        "alerts": _plain(overview.alerts),
        "devices": _plain(overview.devices),
        "benchmarks": _plain(overview.benchmarks),
        "requests": _plain(overview.requests),
        "series_step_s": overview.series_step_s,
        "series": _plain(overview.series),
    }


def _percentiles(values: Percentiles) -> dict[str, Any]:
    return {"count": values.count, "p50_s": values.p50, "p95_s": values.p95, "p99_s": values.p99}


def _plain(value: Any) -> Any:
    """Dataclasses as objects, their moments (`at`, `since`, ...) as RFC 3339; NaN and infinity as null."""
    if isinstance(value, Phrase):
        return str(value)
    if dataclasses.is_dataclass(value):
        return {field.name: _member(field.name, getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, tuple | list):
        return [_plain(item) for item in value]
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


_MOMENTS = frozenset({"at", "since", "start", "started_at"})


def _member(name: str, value: Any) -> Any:
    return timestamp(value) if name in _MOMENTS and isinstance(value, int | float) else _plain(value)
