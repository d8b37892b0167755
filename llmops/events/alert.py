"""The document of a change of an alert; units as in `documents.py`."""

from __future__ import annotations

import dataclasses
from typing import ClassVar

from llmops.events.names import named, required


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class AlertEvent:
    """One transition of an alert; never one per evaluation."""

    dataset: ClassVar[str] = "llmops.alert"
    stream_type: ClassVar[str] = "logs"
    kind: ClassVar[str] = "alert"
    category: ClassVar[tuple[str, ...]] = ("host",)
    type: ClassVar[tuple[str, ...]] = ("change",)

    at: float = dataclasses.field()
    event_id: str | None = None
    action: str = required("event.action")
    rule_id: str = required("rule.id")
    rule_name: str = required("rule.name")
    rule_ruleset: str = named("rule.ruleset", default="llmops")
    rule_version: str = named("rule.version", default="1")
    severity_number: int = named("event.severity", "long", default=0)
    severity: str = named("llmops.alert.severity", default="ticket")
    state: str = named("llmops.alert.state", default="inactive")
    fingerprint: str = named("llmops.alert.fingerprint", default="")
    value: float | None = named("llmops.alert.value", "double")
    threshold: float | None = named("llmops.alert.threshold", "double")
    reason: str = named("event.reason", default="")
    start: float | None = named("event.start", "date")
    end: float | None = named("event.end", "date")
    duration_ns: int | None = named("event.duration", "long")
    slo_name: str | None = named("llmops.slo.name")
    slo_target: float | None = named("llmops.slo.target", "double")
    slo_window: str | None = named("llmops.slo.window")
    slo_total: int | None = named("llmops.slo.total", "long")
    slo_good: int | None = named("llmops.slo.good", "long")
    slo_bad: int | None = named("llmops.slo.bad", "long")
    burn_rate_short: float | None = named("llmops.slo.burn_rate_short", "double")
    burn_rate_long: float | None = named("llmops.slo.burn_rate_long", "double")
    window_short: str | None = named("llmops.slo.window_short")
    window_long: str | None = named("llmops.slo.window_long")
    budget_remaining: float | None = named("llmops.slo.error_budget_remaining", "double")
    exemplars: tuple[str, ...] = named("llmops.alert.exemplars", default=())
    channel: str | None = named("llmops.notification.channel")
    channel_outcome: str | None = named("llmops.notification.outcome")
    channel_attempts: int | None = named("llmops.notification.attempts", "long")

    def message(self) -> str:
        """One human line."""
        return f"alert {self.rule_name} {self.action}: {self.reason}"

    def level(self) -> str:
        """A firing page is an error in the log, and so is an alert that nobody could be told of."""
        if self.channel is not None:
            return "DEBUG" if self.channel_outcome == "success" else "ERROR"
        if self.action == "firing":
            return "ERROR" if self.severity == "page" else "WARNING"
        return "INFO"
