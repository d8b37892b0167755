"""Reads store and serve into one Overview; what changes slowly is asked for every few seconds only."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeAlias

from llmops.client import RequestRefused, ServeUnreachable, fetch_snapshot
from llmops.events import Document
from llmops.events.names import seconds_of
from llmops.events.snapshot import ServeSnapshot, ServeState
from llmops.overview.contract import AlertLine, BenchmarkLine, Health, Overview, Reason, SloChip
from llmops.overview.counting import AHEAD_S
from llmops.overview.objectives import chips
from llmops.overview.reading import alert_lines, benchmark_line, devices_of
from llmops.settings import ObjectiveSettings
from llmops.slo import BadObjectives
from llmops.store.contract import Percentiles, RequestRow, Store
from llmops.store.memory import MemoryStore
from llmops.store.segments import journal_bytes

Fetch: TypeAlias = Callable[[str, float], ServeSnapshot]

WINDOW_S = 300.0
"""Percentiles and charts look back this far."""
STEP_S = 5.0
TIMEOUT_S = 1.0
"""A serve that needs longer to say how it is counts as unreachable."""
STALE_AFTER_S = 15.0
"""Samples come every second by default; a record this old has nobody writing it."""
_STALE_AFTER_SAMPLES = 5
_JUDGE_EVERY_S = 5.0
_NONE = Percentiles(count=0, p50=None, p95=None, p99=None)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class _Judged:
    at: float
    slo: tuple[SloChip, ...] = ()
    objectives_error: str | None = None
    alerts: tuple[AlertLine, ...] = ()
    benchmarks: tuple[BenchmarkLine, ...] = ()


def look(
    store: Store | None,
    url: str,
    now: float,
    *,
    objectives: ObjectiveSettings,
    journal: Path | None = None,
    limit: int = 100,
    previous: Overview | None = None,
    fetch: Fetch = fetch_snapshot,
) -> Overview:
    """Everything at `now`. Never raises for a serve that is away; `previous` saves asking slow questions again."""
    serve, serve_error = _ask(fetch, url)
    judged = _judge(store, now, objectives, previous)
    since, until = now - WINDOW_S, now + AHEAD_S
    samples = store.samples(now - _stale_after_s(serve), until) if store else []
    requests = tuple(store.requests(limit=limit)) if store else ()
    age_s = _record_age_s(now, samples, requests)
    health, reason = assess(
        serve,
        store is not None,
        _is_stale(serve, now, age_s),
        judged.slo,
        judged.alerts,
        can_judge=judged.objectives_error is None,
    )
    return Overview(
        at=now,
        url=url,
        health=health,
        reason=reason,
        serve=serve,
        serve_error=serve_error,
        recorded=store is not None,
        record_age_s=age_s,
        journal_bytes=journal_bytes(journal) if journal else None,
        events_dropped=serve.events_dropped if serve else None,
        events_waiting=serve.events_waiting if serve else None,
        window_s=WINDOW_S,
        latency=store.percentiles("duration", since, until) if store else _NONE,
        first_token=store.percentiles("ttft", since, until) if store else _NONE,
        outcomes=store.outcomes(since, until) if store else {},
        output_tokens_per_s=serve.output_tokens_per_s if serve else None,
        series=tuple(store.series(*_aligned(now), STEP_S)) if store else (),
        series_step_s=STEP_S,
        slo=judged.slo,
        objectives_error=judged.objectives_error,
        alerts=judged.alerts,
        requests=requests,
        devices=serve.devices if serve and serve.devices else devices_of(samples),
        benchmarks=judged.benchmarks,
        judged_at=judged.at,
    )


def _ask(fetch: Fetch, url: str) -> tuple[ServeSnapshot | None, str | None]:
    try:
        return fetch(url, TIMEOUT_S), None
    except (ServeUnreachable, RequestRefused) as error:
        return None, str(error)


def _judge(store: Store | None, now: float, objectives: ObjectiveSettings, previous: Overview | None) -> _Judged:
    if store is None:
        return _Judged(at=now, objectives_error=_chips(MemoryStore(), now, objectives)[1])
    if previous is not None and previous.recorded and 0 <= now - previous.judged_at < _JUDGE_EVERY_S:
        return _Judged(
            at=previous.judged_at,
            slo=previous.slo,
            objectives_error=previous.objectives_error,
            alerts=previous.alerts,
            benchmarks=previous.benchmarks,
        )
    slo, error = _chips(store, now, objectives)
    return _Judged(
        at=now,
        slo=slo,
        objectives_error=error,
        alerts=alert_lines(store.alerts(limit=200)),
        benchmarks=tuple(benchmark_line(document) for document in store.benchmarks(limit=2)),
    )


def _chips(store: Store, now: float, objectives: ObjectiveSettings) -> tuple[tuple[SloChip, ...], str | None]:
    """Where they stand, or why that is not known."""
    try:
        return chips(store, now, objectives), None
    except BadObjectives as error:
        return (), str(error)


def _aligned(now: float) -> tuple[float, float]:
    """The window on whole steps, so that a bucket keeps its place while time moves."""
    until = (now // STEP_S + 1) * STEP_S
    return until - WINDOW_S, until


def _record_age_s(now: float, samples: Sequence[Document], requests: Sequence[RequestRow]) -> float | None:
    """Age of the newest document among hardware samples (one a second) and requests."""
    moments = [seconds_of(samples[-1]["@timestamp"])] if samples else []
    moments += [requests[0].at] if requests else []
    return max(0.0, now - max(moments)) if moments else None


def _is_stale(serve: ServeSnapshot | None, now: float, age_s: float | None) -> bool:
    """Serve writes samples, and nobody takes them in. A serve just started may be ahead of its watch."""
    if serve is None or not serve.devices or 0 <= now - serve.started_at <= _stale_after_s(serve):
        return False
    return age_s is None or age_s > _stale_after_s(serve)


def _stale_after_s(serve: ServeSnapshot | None) -> float:
    return max(STALE_AFTER_S, _STALE_AFTER_SAMPLES * serve.sample_interval_s) if serve else STALE_AFTER_S


_STATES: dict[ServeState, Reason] = {
    "starting": "serve_starting",
    "degraded": "serve_degraded",
    "draining": "serve_draining",
    "dead": "serve_dead",
}


def assess(
    serve: ServeSnapshot | None,
    recorded: bool,
    stale: bool,
    slo: tuple[SloChip, ...],
    alerts: tuple[AlertLine, ...],
    *,
    can_judge: bool = True,
) -> tuple[Health, Reason]:
    """Health, and the one reason that matters most: who is silent first, then who complains."""
    if serve is None:
        return ("degraded", "serve_unreachable") if recorded else ("unreadable", "nothing_readable")
    complaints: tuple[tuple[bool, Reason], ...] = (
        (serve.state in _STATES, _STATES.get(serve.state, "all_good")),
        (not recorded, "record_missing"),
        (not can_judge, "objectives_unreadable"),
        (any(chip.state == "breached" for chip in slo), "slo_breach"),
        (any(alert.state == "firing" for alert in alerts), "alert_firing"),
        (stale, "record_stale"),
    )
    return next((("degraded", reason) for holds, reason in complaints if holds), ("ok", "all_good"))
