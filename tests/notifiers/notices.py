"""Notices for the tests of the channels."""

from __future__ import annotations

from typing import Any

from llmops.alerts import Finding, Transition
from llmops.alerts.lifecycle import Action
from llmops.notifiers import Notice, compose

NOW = 1_700_000_000.0


def notice(action: Action = "firing", *, journal: str = "/var/lib/llmops/journal", **fields: Any) -> Notice:
    """A page, two minutes old."""
    values: dict[str, Any] = {"rule_id": "slo.latency.page", "name": "Fast", "severity": "page", "active": True}
    finding = Finding(**(values | {"reason": "3 of 14 failures used", "value": 20.0, "threshold": 14.4} | fields))
    return compose(Transition(action=action, at=NOW + 120, started=NOW, finding=finding), journal=journal)
