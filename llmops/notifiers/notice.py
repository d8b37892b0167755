"""What people are told of one transition: everything that a person woken at night asks first."""

from __future__ import annotations

import dataclasses
import shlex
from typing import Any

from llmops.alerts import SloNumbers, Transition
from llmops.alerts.rules import Severity
from llmops.alerts.sentences import say
from llmops.events.names import timestamp
from llmops.untrusted import safe_line

SCHEMA_VERSION = "1"
"""Of `to_json`; a field that changes its meaning raises it."""
_ID_CHARACTERS = 128


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """A transition with the way on from it. Request ids come from clients: they are made harmless here, once."""

    event_id: str
    action: str
    severity: Severity
    rule_id: str
    name: str
    reason: str
    at: float
    since: float
    value: float | None
    threshold: float | None
    slo: SloNumbers | None
    exemplars: tuple[str, ...]
    command: str | None
    """What opens the exemplars, ready for a shell."""
    runbook: str

    @property
    def line(self) -> str:
        """All of it in one line of plain text without control characters."""
        exemplars = say("line.exemplars", command=self.command) if self.command else ""
        written = say(
            "line",
            severity=self.severity.upper(),
            action=self.action,
            name=self.name,
            reason=self.reason,
            since=timestamp(self.since),
            exemplars=exemplars,
            runbook=self.runbook,
        )
        return safe_line(written)

    def to_json(self) -> dict[str, Any]:
        """The body of the webhook. Every key is always there; what is not known is null.

        schema_version, event_id (the same for a repeated delivery), action (firing, resolved), severity (page, ticket),
        rule_id, name, reason, at, since (RFC 3339), duration_s, value, threshold, slo (null, or name, target, window,
        total, bad, allowed, budget_remaining, burn_long, burn_short, window_long, window_short), exemplars (request
        ids), command, runbook (a path in this project), text (all of it as one line).
        """
        return {
            "schema_version": SCHEMA_VERSION,
            "event_id": self.event_id,
            "action": self.action,
            "severity": self.severity,
            "rule_id": self.rule_id,
            "name": self.name,
            "reason": self.reason,
            "at": timestamp(self.at),
            "since": timestamp(self.since),
            "duration_s": round(max(0.0, self.at - self.since), 3),
            "value": self.value,
            "threshold": self.threshold,
            "slo": dataclasses.asdict(self.slo) if self.slo else None,
            "exemplars": list(self.exemplars),
            "command": self.command,
            "runbook": self.runbook,
            "text": self.line,
        }


def compose(transition: Transition, *, journal: str) -> Notice:
    """The notice of a transition; `journal` is the folder that the command looks into."""
    finding = transition.finding
    exemplars = tuple(safe_line(identity, _ID_CHARACTERS) for identity in finding.exemplars)
    return Notice(
        event_id=transition.event_id,
        action=transition.action,
        severity=finding.severity,
        rule_id=finding.rule_id,
        name=safe_line(finding.name),
        reason=safe_line(finding.reason),
        at=transition.at,
        since=transition.started,
        value=finding.value,
        threshold=finding.threshold,
        slo=finding.slo,
        exemplars=exemplars,
        command=_command(exemplars, journal) if exemplars else None,
        runbook=f"docs/runbooks/{finding.rule_id.split('.')[0]}.md",
    )


def _command(exemplars: tuple[str, ...], journal: str) -> str:
    """Works on any machine that has the journal, with nothing of ours installed."""
    wanted = " ".join(f"-e {shlex.quote(identity)}" for identity in exemplars)
    return f"grep -hF {wanted} {shlex.quote(safe_line(journal))}/*.jsonl"
