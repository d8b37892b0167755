"""What people are told of one alert: everything that a person woken at night asks first."""

from __future__ import annotations

import dataclasses
import shlex
from typing import Any, Literal

from llmops.alerts import Item, SloNumbers, say
from llmops.alerts.phrases import Language
from llmops.alerts.rules import Severity
from llmops.events.names import timestamp
from llmops.untrusted import safe_line, without_markup

_ID_CHARACTERS = 128
_NAME_CHARACTERS = 200
_REASON_CHARACTERS = 1000


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """An alert with the way on from it.

    Clients choose request ids, and names and reasons may quote what a stranger wrote. `headline`, `shown_reason`,
    `shown_exemplars`, `command` and `text` are for channels: none finds markup, a mention or a link in them.
    """

    event_id: str
    fingerprint: str
    language: Language
    action: Literal["firing", "repeat", "resolved"]
    times: int
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
    def shown_exemplars(self) -> tuple[str, ...]:
        """The request ids, without markup."""
        return tuple(without_markup(identity) for identity in self.exemplars)

    @property
    def headline(self) -> str:
        """Severity, what became of it, and its name, without markup."""
        said = say("headline", severity=say(self.severity), action=say(self.action), name=without_markup(self.name))
        return safe_line(said.text(self.language))

    @property
    def shown_reason(self) -> str:
        """Without markup."""
        return without_markup(self.reason)

    @property
    def text(self) -> str:
        """All of it in one line without markup."""
        return self._line(without_markup(self.name), self.shown_reason)

    @property
    def line(self) -> str:
        """All of it in one line for a terminal, which knows no markup; without control characters."""
        return self._line(self.name, self.reason)

    def _line(self, name: str, reason: str) -> str:
        exemplars = say("line.exemplars", command=self.command) if self.command else ""
        written = say(
            "line",
            severity=say(self.severity),
            action=say(self.action),
            name=name,
            reason=reason,
            since=timestamp(self.since),
            exemplars=exemplars,
            runbook=self.runbook,
        )
        return safe_line(written.text(self.language))

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values. Every key is always there; what is not known is null.

        event_id (the same for a repeated delivery), fingerprint (of the alert over all its lives), action (firing,
        repeat, resolved), times (how often it was told, this included), severity (page, ticket), rule_id, name, reason,
        at, since (RFC 3339), duration_s, value, threshold, slo (null, or name, target, window, total, bad, allowed,
        budget_remaining, burn_long, burn_short, window_long, window_short, exhausted_in_s), exemplars (request ids),
        command, runbook (a path in this project), text (all of it as one line). `exemplars` are exact; name, reason,
        command and text have no markup (`without_markup`), since receivers pass them on to chats.
        """
        return {
            "event_id": self.event_id,
            "fingerprint": self.fingerprint,
            "action": self.action,
            "times": self.times,
            "severity": self.severity,
            "rule_id": self.rule_id,
            "name": without_markup(self.name),
            "reason": self.shown_reason,
            "at": timestamp(self.at),
            "since": timestamp(self.since),
            "duration_s": round(max(0.0, self.at - self.since), 3),
            "value": self.value,
            "threshold": self.threshold,
            "slo": dataclasses.asdict(self.slo) if self.slo else None,
            "exemplars": list(self.exemplars),
            "command": self.command,
            "runbook": self.runbook,
            "text": self.text,
        }


def compose(item: Item, *, state: str, language: Language) -> Notice:
    """The notice of an alert; `state` is the folder whose record the command looks into."""
    transition, finding = item.transition, item.transition.finding
    exemplars = tuple(safe_line(identity, _ID_CHARACTERS) for identity in finding.exemplars)
    return Notice(
        event_id=item.event_id,
        fingerprint=finding.fingerprint,
        language=language,
        action=item.action,
        times=item.times,
        severity=finding.severity,
        rule_id=finding.rule_id,
        name=safe_line(finding.name.text(language), _NAME_CHARACTERS),
        reason=safe_line(finding.reason.text(language), _REASON_CHARACTERS),
        at=transition.at,
        since=transition.started,
        value=finding.value,
        threshold=finding.threshold,
        slo=finding.slo,
        exemplars=exemplars,
        command=_command(exemplars, state) if exemplars else None,
        runbook=f"docs/runbooks/{finding.rule_id.split('.')[0]}.md",
    )


def _command(exemplars: tuple[str, ...], state: str) -> str:
    where = f" --state {shlex.quote(safe_line(state))}" if state else ""
    return "; ".join(
        f"llmops requests show{where} -- {shlex.quote(without_markup(identity))}" for identity in exemplars
    )
