"""`llmops alerts show ALERT`: all that is known of one alert."""

from __future__ import annotations

import dataclasses
import shlex

from rich.markup import escape
from rich.table import Table

from llmops.events import AlertEvent, Document
from llmops.events.names import name_of, seconds_of
from llmops.settings import Settings
from llmops.shell import standing
from llmops.shell.alerts import as_object, clock, why
from llmops.shell.console import console_for
from llmops.shell.tabular import print_json, shown
from llmops.untrusted import safe_line
from llmops.watching.standing import Standing

_LOOKED_AT = 10_000
_CHANGES = 12


def show(settings: Settings, name: str, *, as_json: bool) -> int:
    """Print it; 2 when nothing active is called so, or without a record."""
    with standing.told(), standing.record(settings) as store:
        alerts, _ = standing.known(settings, store)
        alert = standing.the_one(alerts, name)
        fingerprint = alert.state.finding.fingerprint
        changes = [each for each in store.alerts(limit=_LOOKED_AT) if _of(each, "fingerprint") == fingerprint]
    if as_json:
        slo = alert.state.finding.slo
        print_json(as_object(alert) | {"slo": dataclasses.asdict(slo) if slo else None, "history": changes[:_CHANGES]})
        return 0
    _print(settings, alert, changes[:_CHANGES])
    return 0


def _print(settings: Settings, alert: Standing, changes: list[Document]) -> None:
    finding, language = alert.state.finding, settings.alerts.spoken
    table = Table("", "", box=None, pad_edge=False, show_header=False)
    rows = [
        ("alert", f"{finding.rule_id} ({finding.fingerprint})"),
        ("what", f"{finding.severity}: {finding.name.text(language)}"),
        ("state", f"{alert.state.phase} since {clock(alert.state.started)}"),
        ("why", finding.reason.text(language)),
        ("value", f"{shown(finding.value)} (threshold {shown(finding.threshold)})"),
        ("told", why(alert) + (f", {alert.told.times} times in all" if alert.told and alert.told.times > 1 else "")),
        *(("look at", f"llmops requests show -- {shlex.quote(safe_line(each))}") for each in finding.exemplars),
        ("runbook", f"docs/runbooks/{finding.rule_id.split('.')[0]}.md"),
        *(("" if number else "changes", _change(each)) for number, each in enumerate(changes)),
    ]
    for head, text in rows:
        table.add_row(f"[bold]{head}[/]", escape(safe_line(text)))
    console_for().print(table)


def _change(document: Document) -> str:
    channel = _of(document, "channel")
    what = f"{document['event.action']} by {channel}" if channel else str(document["event.action"])
    return f"{clock(seconds_of(str(document['@timestamp'])))}  {what}"


def _of(document: Document, attribute: str) -> object:
    return document.get(name_of(AlertEvent, attribute))
