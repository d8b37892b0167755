"""Would these objectives have alerted? A past is judged step by step, by the rules that judge the present."""

from __future__ import annotations

import collections
import dataclasses
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

from llmops.alerts import serving
from llmops.alerts.evaluate import inhibit, slo_findings, slo_rule_id
from llmops.alerts.lifecycle import States, Transition, advance
from llmops.alerts.rules import SEVERITIES, Finding, Severity, SloNumbers, fingerprint_of
from llmops.events import AlertEvent, Document
from llmops.events.names import name_of, seconds_of
from llmops.slo import BURN_ROWS, BurnRow, Guard, Objective, Tally, Unattainable, Verdict, judge, window_name
from llmops.slo.windows import History

_DOWN = serving.serve_finding(serving.Serving("unreachable"), down_for_s=0.0, is_firing=True)


class Outage(NamedTuple):
    """`serve_down` was active: objectives were held, and stayed as they were. `until` belongs to it."""

    since: float
    until: float


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Fired:
    """One alert that would have been told, and what it would have said. `until` None: it goes on."""

    objective: Objective
    severity: Severity
    since: float
    until: float | None
    burn_long: float | None
    burn_short: float | None
    row: BurnRow
    """Which spoke."""
    requests: Tally
    """Of its long window."""


def replay(
    history: History,
    guard: Guard,
    *,
    since: float,
    until: float,
    step_s: float,
    outages: Sequence[Outage] = (),
    unattainable: Mapping[str, Unattainable] = MappingProxyType({}),
) -> Iterator[Transition]:
    """What watch would have written, had it looked at `since`, every `step_s` after it, and not at `until` any more.

    It begins with no alert active. `unattainable`: by id, the objectives that this server cannot meet.
    """
    fingerprints = [(objective, _fingerprints(objective)) for objective in history.objectives]
    states: States = {}
    down = collections.deque(sorted(outages))
    for number in range(max(0, math.ceil((until - since) / step_s))):
        now = since + number * step_s
        findings: list[Finding] = []
        for objective, own in fingerprints:
            verdict = judge(objective, history.tallies(objective, now), guard, unattainable.get(objective.id))
            if _matters(verdict) or not own.isdisjoint(states):
                findings += slo_findings(verdict, keep_s=guard.keep_s)
        if findings or states:
            findings = _quiet(findings, states, is_down=_is_down(down, now))
            states, transitions = advance(states, findings, now)
            yield from transitions


def _fingerprints(objective: Objective) -> frozenset[str]:
    return frozenset(fingerprint_of(slo_rule_id(objective.id, severity)) for severity in SEVERITIES)


def _matters(verdict: Verdict) -> bool:
    """Findings that are not active change nothing where no alert is."""
    return not verdict.is_muted and any(burn.exceeded for burn in verdict.burns)


def _quiet(findings: list[Finding], states: States, *, is_down: bool) -> list[Finding]:
    return inhibit([_DOWN, *findings], states, behind=False)[1:] if is_down else inhibit(findings, states, behind=False)


def _is_down(outages: collections.deque[Outage], now: float) -> bool:
    while outages and outages[0].until < now:
        outages.popleft()
    return bool(outages) and outages[0].since <= now


def outages_of(alerts: Iterable[Document]) -> list[Outage]:
    """When `serve_down` was active, from alert events, newest first."""
    found: dict[str, Outage] = {}
    for document in alerts:
        if _of(document, "rule_id") != serving.RULE_ID or _of(document, "channel") is not None:
            continue
        start, at = _of(document, "start"), seconds_of(document["@timestamp"])
        if isinstance(start, str):  # the newest of one life tells how it ended
            found.setdefault(start, Outage(seconds_of(start), _end(_of(document, "action"), at)))
    return sorted(found.values())


def _end(action: object, at: float) -> float:
    """A look that resolves still holds the objectives; one that finds a pending alert clear does not."""
    return at if action == "resolved" else math.nextafter(at, 0.0) if action == "inactive" else math.inf


def _of(document: Document, attribute: str) -> object:
    return document.get(name_of(AlertEvent, attribute))


def fired(transitions: Iterable[Transition], history: History) -> list[Fired]:
    """Firing and its end as one line, in order of the beginnings; alerts of other rules are passed over."""
    objectives = {objective.id: objective for objective in history.objectives}
    lines: dict[tuple[str, float], Fired] = {}
    for transition in transitions:
        slo, key = transition.finding.slo, (transition.finding.rule_id, transition.started)
        if slo is not None and transition.action == "firing":
            lines[key] = _line(transition, slo, objectives[slo.name], history)
        elif key in lines:
            lines[key] = dataclasses.replace(lines[key], until=transition.at)
    return list(lines.values())


def _line(transition: Transition, slo: SloNumbers, objective: Objective, history: History) -> Fired:
    row = next(row for row in BURN_ROWS if window_name(row.long_s) == slo.window_long)
    return Fired(
        objective=objective,
        severity=transition.finding.severity,
        since=transition.at,
        until=None,
        burn_long=slo.burn_long,
        burn_short=slo.burn_short,
        row=row,
        requests=history.tally(objective, row.long_s, transition.at),
    )
