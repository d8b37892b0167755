"""The types of one look: frozen, complete, and the same for the status line, the terminal and replay.

Units: seconds (`_s`), fractions are 0..1, times are Unix seconds. None is "not known", never zero.
"""

from __future__ import annotations

import dataclasses
from typing import Literal, TypeAlias

from llmops.alerts.phrases import Phrase
from llmops.events.snapshot import DeviceSnapshot, ServeSnapshot
from llmops.slo import SloState
from llmops.store.contract import Bucket, Percentiles, RequestRow

SCHEMA_VERSION = "1"
"""Of what `to_json` writes; a field that changes its meaning raises it."""

Health: TypeAlias = Literal["ok", "degraded", "unreadable"]
Reason: TypeAlias = Literal[
    "all_good",
    "slo_breach",
    "alert_firing",
    "serve_starting",
    "serve_degraded",
    "serve_draining",
    "serve_dead",
    "serve_unreachable",
    "record_missing",
    "objectives_unreadable",
    "record_stale",
    "nothing_readable",
]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class SloChip:
    """Where one objective stands over its window."""

    name: str
    target: float
    window_s: float
    total: int
    bad: int
    allowed_bad: int
    """Failures that the budget grants at this many requests."""
    good_ratio: float | None
    budget_remaining: float | None
    """1 untouched, 0 spent, negative overspent."""
    burn: float | None
    """How many times faster than allowed over the last hour."""
    state: SloState
    exhausted_in_s: float | None = None
    """Until the budget is spent at the pace of the last hour; 0: it is. None: it lasts, or nothing is known."""
    unattainable: Phrase | None = None
    """Why no server of this speed meets it, and what to set; None where it can be met, or too little is known."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class AlertLine:
    """An alert that is pending or firing now."""

    name: str
    severity: str
    state: str
    since: float
    value: float | None
    threshold: float | None
    reason: str
    exemplars: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class BenchmarkLine:
    """The result of one self-benchmark."""

    at: float
    benchmark_id: str
    trigger: str
    completed: int
    failed: int
    output_tokens_per_s: float | None
    ttft_p50_s: float | None
    e2e_p50_s: float | None
    regression: bool
    delta_throughput_pct: float | None


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Overview:
    """Everything at one moment. `serve` is None when it did not answer, `recorded` False when there is no store."""

    at: float
    url: str
    health: Health
    reason: Reason
    serve: ServeSnapshot | None
    serve_error: str | None = None
    recorded: bool = True
    record_age_s: float | None = None
    """Age of the newest document of the store: how far judgement lags behind."""
    journal_bytes: int | None = None
    """What the journal takes on disk; None where nobody said which folder it is in."""
    events_dropped: int | None = None
    """Events of this serve that are nowhere."""
    events_waiting: int | None = None
    """Events of this serve that are in memory only."""
    window_s: float = 300.0
    latency: Percentiles
    first_token: Percentiles
    outcomes: dict[str, int]
    output_tokens_per_s: float | None
    series: tuple[Bucket, ...] = ()
    series_step_s: float = 5.0
    slo: tuple[SloChip, ...] = ()
    objectives_error: str | None = None
    """Why there are no objectives to judge: the sentence about their file."""
    alerts: tuple[AlertLine, ...] = ()
    requests: tuple[RequestRow, ...] = ()
    devices: tuple[DeviceSnapshot, ...] = ()
    benchmarks: tuple[BenchmarkLine, ...] = ()
    judged_at: float = 0.0
    """When objectives, alerts and benchmarks were last asked for; they change slowly and are asked less often."""
    schema_version: str = SCHEMA_VERSION

    @property
    def unattainable(self) -> tuple[SloChip, ...]:
        """Objectives that no server of this speed meets."""
        return tuple(chip for chip in self.slo if chip.unattainable is not None)

    @property
    def firing(self) -> tuple[AlertLine, ...]:
        """Alerts past their waiting time."""
        return tuple(alert for alert in self.alerts if alert.state == "firing")
