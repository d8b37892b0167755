"""`llmops alerts`: what is pending or firing and who was told; `llmops alerts history`: every change there was."""

from __future__ import annotations

import sys
import time
from typing import Any

from llmops.alerts.phrases import Language
from llmops.alerts.quiet import Orders, Silence
from llmops.events import AlertEvent, Document
from llmops.events.names import name_of, seconds_of, timestamp
from llmops.settings import Settings
from llmops.shell import standing
from llmops.shell.moments import moment_of
from llmops.shell.tabular import print_json, print_table
from llmops.untrusted import safe_line
from llmops.watching.standing import Standing, Undelivered

_WHY = {
    "new": "about to be told",
    "repeat": "about to be told again",
    "told": "told",
    "acknowledged": "acknowledged",
    "silenced": "silenced",
    "inhibited": "another alert speaks for it",
    "group_wait": "waits for its group",
    "group_interval": "waits for its group",
}
_ENOUGH = 100_000
"""Changes looked through for those since a moment."""


def show_all(settings: Settings, *, as_json: bool) -> int:
    """Print them, the most urgent first, then the silences that count; 2 without a record."""
    with standing.told(), standing.record(settings) as store:
        alerts, orders = standing.known(settings, store)
    if as_json:
        print_json({"alerts": [as_object(each) for each in alerts], **orders.to_json()})
        return 0
    language = settings.alerts.spoken
    if alerts:
        print_table(
            ("alert", "severity", "state", "since (UTC)", "told", "why"), (_row(each, language) for each in alerts)
        )
    else:
        print("No alert is pending or firing.", file=sys.stderr)
    _print_silences(orders, time.time())
    return 0


def history(settings: Settings, *, since: str | None, limit: int, as_json: bool) -> int:
    """Print changes of alerts and reports of channels, newest first; 2 without a record or for a bad moment."""
    with standing.told(), standing.record(settings) as store:
        begin = moment_of(since)
        changes = store.alerts(limit=_ENOUGH if since else limit)
    found = [each for each in changes if seconds_of(str(each["@timestamp"])) >= begin][:limit]
    if as_json:
        print_json(found)
    elif found:
        print_table(("time (UTC)", "alert", "severity", "what", "reason"), map(_change, found))
    else:
        print("No alert changed in that time.", file=sys.stderr)
    return 0


def as_object(each: Standing) -> dict[str, Any]:
    """One alert as JSON."""
    finding = each.state.finding
    return {
        "id": finding.fingerprint,
        "rule_id": finding.rule_id,
        "group": finding.group,
        "severity": finding.severity,
        "state": each.state.phase,
        "since": timestamp(each.state.started),
        "name": str(finding.name),
        "reason": str(finding.reason),
        "value": finding.value,
        "threshold": finding.threshold,
        "exemplars": list(finding.exemplars),
        "told": None if each.told is None else {"at": timestamp(each.told.at), "times": each.told.times},
        "why": each.reason,
        "undelivered": [
            {"channel": one.channel, "attempts": one.attempts, "why": one.why, "at": one.at and timestamp(one.at)}
            for one in each.undelivered
        ],
        "silence": each.silence.id if each.silence else None,
        "acknowledged_by": each.acknowledgement.author if each.acknowledgement else None,
    }


def why(each: Standing) -> str:
    """Whether people heard of it, in a few words."""
    if each.reason is None:
        return "not yet: it is pending"
    said = _WHY.get(each.reason, each.reason)
    if each.silence:
        return f"{said} until {clock(each.silence.ends)} by {each.silence.author}"
    if each.acknowledgement:
        return f"{said} by {each.acknowledgement.author}"
    if each.told and each.reason == "told":
        said = f"told {clock(each.told.at)}"
        return f"{said}; {'; '.join(map(_not_told, each.undelivered))}" if each.undelivered else said
    return said


def _not_told(one: Undelivered) -> str:
    if one.why is None:
        return f"on its way to {one.channel}"
    return f"NOT DELIVERED to {one.channel} after {one.attempts} {'try' if one.attempts == 1 else 'tries'}: {one.why}"


def _row(each: Standing, language: Language) -> tuple[str, ...]:
    finding = each.state.finding
    reason = finding.reason.text(language)
    return finding.rule_id, finding.severity, each.state.phase, clock(each.state.started), why(each), reason


def _print_silences(orders: Orders, now: float) -> None:
    rows = [_silence(each, now) for each in orders.silences if now < each.ends]
    if rows:
        print()
        print_table(("silence", "of", "until (UTC)", "by", "because"), rows)


def _silence(each: Silence, now: float) -> tuple[str, ...]:
    begins = "" if each.starts <= now else f"{clock(each.starts)} to "
    return each.id, " ".join(map(str, each.matchers)), f"{begins}{clock(each.ends)}", each.author, each.comment or "--"


def _change(document: Document) -> tuple[str, ...]:
    def value(attribute: str) -> str:
        return str(document.get(name_of(AlertEvent, attribute)) or "")

    channel = value("channel")
    what = f"{document['event.action']} ({channel})" if channel else str(document["event.action"])
    at = clock(seconds_of(str(document["@timestamp"])))
    return at, value("rule_id"), value("severity"), what, safe_line(value("reason"))


def clock(at: float) -> str:
    """Month, day and time, UTC."""
    return timestamp(at)[5:19].replace("T", " ")
