"""Alerts on paper: a transition as an event of the journal, and the states that such events imply."""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from typing import Any

from llmops.alerts.lifecycle import AlertState, Transition
from llmops.alerts.phrases import as_is
from llmops.alerts.rules import Finding, Severity
from llmops.alerts.telling import Message
from llmops.events import AlertEvent, Document
from llmops.events.names import name_of, seconds_of

SEVERITY_NUMBERS: dict[Severity, int] = {"ticket": 1, "page": 2}


def to_event(transition: Transition) -> AlertEvent:
    """The transition as it is written down."""
    finding, slo = transition.finding, transition.finding.slo
    is_over = transition.action in ("resolved", "inactive")
    return AlertEvent(
        at=transition.at,
        event_id=transition.event_id,
        action=transition.action,
        rule_id=finding.rule_id,
        rule_name=str(finding.name),
        severity=finding.severity,
        severity_number=SEVERITY_NUMBERS[finding.severity],
        state="inactive" if is_over else transition.action,
        fingerprint=finding.fingerprint,
        value=finding.value,
        threshold=finding.threshold,
        reason=str(finding.reason),
        start=transition.started,
        end=transition.at if is_over else None,
        duration_ns=round(max(0.0, transition.at - transition.started) * 1e9) if is_over else None,
        slo_name=slo.name if slo else None,
        slo_target=slo.target if slo else None,
        slo_window=slo.window if slo else None,
        slo_total=slo.total if slo else None,
        slo_good=slo.total - slo.bad if slo else None,
        slo_bad=slo.bad if slo else None,
        burn_rate_short=slo.burn_short if slo else None,
        burn_rate_long=slo.burn_long if slo else None,
        window_short=slo.window_short if slo else None,
        window_long=slo.window_long if slo else None,
        budget_remaining=slo.budget_remaining if slo else None,
        exemplars=finding.exemplars,
    )


def delivery_event(message: Message, channel: str, *, attempts: int, why: str | None, at: float) -> AlertEvent:
    """How a channel fared with a message, under the alert that it tells first. `why`: what failed, None where nothing
    did."""
    item = message.items[0]
    finding = item.transition.finding
    return AlertEvent(
        at=at,
        event_id=str(uuid.uuid5(uuid.UUID(message.id), f"{channel}/{'failure' if why else 'success'}")),
        action="not_notified" if why else "notified",
        rule_id=finding.rule_id,
        rule_name=str(finding.name),
        severity=finding.severity,
        severity_number=SEVERITY_NUMBERS[finding.severity],
        state="inactive" if item.action == "resolved" else "firing",
        fingerprint=finding.fingerprint,
        reason=why or f"{item.action} told",
        start=item.transition.started,
        exemplars=finding.exemplars,
        channel=channel,
        channel_outcome="failure" if why else "success",
        channel_attempts=attempts,
    )


def states_from(transitions: Iterable[Document]) -> dict[str, AlertState]:
    """The states after these transitions, newest first: what a store rebuilt from the journal knows of alerts."""
    newest: dict[str, Document] = {}
    for document in transitions:
        if _of(document, "channel") is None:  # a report of a delivery is no transition
            newest.setdefault(str(_of(document, "fingerprint")), document)
    states = ((fingerprint, _state(document)) for fingerprint, document in newest.items())
    return {fingerprint: state for fingerprint, state in states if state is not None}


def _state(document: Document) -> AlertState | None:
    phase, severity, start = (_of(document, name) for name in ("state", "severity", "start"))
    if phase not in ("pending", "firing") or severity not in SEVERITY_NUMBERS or not isinstance(start, str):
        return None
    finding = Finding(
        rule_id=str(_of(document, "rule_id")),
        name=as_is(str(_of(document, "rule_name"))),
        severity=severity,
        active=True,
        value=_of(document, "value"),
        threshold=_of(document, "threshold"),
        reason=as_is(str(_of(document, "reason"))),
        exemplars=tuple(_of(document, "exemplars") or ()),
    )
    started = seconds_of(start)
    return AlertState(phase=phase, started=started, active_since=started, clear_since=None, finding=finding)


def _of(document: Document, attribute: str) -> Any:
    return document.get(name_of(AlertEvent, attribute))
