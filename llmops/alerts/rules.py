"""What a rule finds at one moment; whether that becomes an alert is for the lifecycle to say."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
from collections.abc import Mapping
from typing import Any, Literal, TypeAlias

from llmops.alerts.phrases import Phrase, as_is

Severity: TypeAlias = Literal["page", "ticket"]
SEVERITIES: tuple[Severity, ...] = ("page", "ticket")
NOTHING = as_is("")
GROUPS: Mapping[str, str] = {
    "vram": "gpu",
    "vram_leak": "gpu",
    "serve_down": "serve",
    "thread_ended": "serve",
    "channel_failed": "watch",
    "journal_full": "record",
    "record_lost": "record",
    "gpu_temperature": "gpu",
    "gpu_throttled": "gpu",
    "gpu_errors": "gpu",
    "gpu_silent": "gpu",
    "gpu_lost": "gpu",
    "queue_saturated": "serve",
    "clock_skew": "serve",
    "journal_lag": "record",
    "disk_space": "record",
    "disk_space.page": "record",
    "elasticsearch_unreachable": "record",
    "benchmark_regression": "benchmark",
}
"""Rules whose group is not the first word of their id."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class SloNumbers:
    """The objective behind a finding, and the row of burn rates that speaks."""

    name: str
    target: float
    window: str
    total: int
    bad: int
    allowed: int
    budget_remaining: float | None
    burn_long: float | None
    burn_short: float | None
    window_long: str
    window_short: str
    exhausted_in_s: float | None = None
    """Until the budget is spent, at the pace of the long window; 0: it is. None: it lasts, or nothing is known."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One rule at one moment. `active` None: not known, and the alert stays as it is."""

    rule_id: str
    name: Phrase
    severity: Severity
    active: bool | None
    value: float | None = None
    threshold: float | None = None
    reason: Phrase = NOTHING
    for_s: float = 0.0
    """It must be active this long before the alert fires."""
    keep_s: float = 0.0
    """It must be clear this long before the alert resolves."""
    exemplars: tuple[str, ...] = ()
    """Ids of requests that show it."""
    slo: SloNumbers | None = None

    @property
    def fingerprint(self) -> str:
        """The identity of the alert over all its lives."""
        return fingerprint_of(self.rule_id)

    @property
    def group(self) -> str:
        """What people are told of together with it: alerts of one group share a message."""
        return GROUPS.get(self.rule_id, self.rule_id.split(".")[0])

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values, for keeping."""
        kept = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        slo = None if self.slo is None else dataclasses.asdict(self.slo)
        texts = {"name": self.name.to_json(), "reason": self.reason.to_json()}
        return kept | texts | {"exemplars": list(self.exemplars), "slo": slo}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Finding:
        """What `to_json` wrote; raises KeyError, TypeError or ValueError for anything else."""
        slo = value["slo"]
        texts = {name: Phrase.from_json(value[name]) for name in ("name", "reason")}
        numbers = {"slo": SloNumbers(**slo) if slo is not None else None}
        return cls(**{**value, **texts, **numbers, "exemplars": tuple(value["exemplars"])})


@functools.lru_cache(maxsize=1024)
def fingerprint_of(rule_id: str) -> str:
    """Sixteen hexadecimal digits, the same for ever."""
    return hashlib.sha256(rule_id.encode()).hexdigest()[:16]
