"""From verdicts to findings of objectives, and which findings must keep quiet now."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from llmops.alerts import serving
from llmops.alerts.inhibition import inhibitor
from llmops.alerts.lifecycle import States
from llmops.alerts.phrases import Phrase, as_is, say
from llmops.alerts.rules import SEVERITIES, Finding, Severity, SloNumbers, fingerprint_of
from llmops.events.speed import tokens
from llmops.slo import KEEP_S, Burn, Objective, Unattainable, Verdict, window_name

_UNITS = ((2 * 86400.0, 86400.0, "span.d"), (2 * 3600.0, 3600.0, "span.h"), (0.0, 60.0, "span.min"))
"""From when on a unit is used, its seconds, its words: 47 h are told as such, 48 h as 2 d."""


def is_firing(states: States, rule_id: str) -> bool:
    """The alert of this rule is firing."""
    state = states.get(fingerprint_of(rule_id))
    return state is not None and state.phase == "firing"


def slo_rule_id(objective_id: str, severity: Severity) -> str:
    """`slo.latency.page`."""
    return f"slo.{objective_id}.{severity}"


def objective_name(objective: Objective) -> Phrase:
    """As its author named it, or what it asks for."""
    return (
        as_is(objective.name)
        if objective.name
        else say(f"objective.{objective.measure}", threshold=objective.threshold_s)
    )


def slo_findings(verdict: Verdict, exemplars: Sequence[str] = (), *, keep_s: float = KEEP_S) -> list[Finding]:
    """A page and a ticket for one objective. While there is reason for a page, the ticket stays as it is."""
    page, ticket = (_slo_finding(verdict, severity, exemplars, keep_s) for severity in SEVERITIES)
    return [page, _held(ticket, "held.page") if page.active else ticket]


def _slo_finding(verdict: Verdict, severity: Severity, exemplars: Sequence[str], keep_s: float) -> Finding:
    burn = verdict.fastest(severity)
    active = False if verdict.is_muted else verdict.exceeded(severity)
    return Finding(
        rule_id=slo_rule_id(verdict.objective.id, severity),
        name=say(f"slo.{severity}", objective=objective_name(verdict.objective)),
        severity=severity,
        active=active,
        value=burn.long,
        threshold=burn.row.threshold,
        reason=_slo_reason(verdict, burn, active),
        keep_s=0.0 if verdict.is_muted else keep_s,
        exemplars=tuple(exemplars) if active else (),
        slo=_numbers(verdict, burn),
    )


def _slo_reason(verdict: Verdict, burn: Burn, active: bool | None) -> Phrase:
    why = unattainable_phrase(verdict)
    if why is not None and verdict.is_muted:
        return why
    if verdict.whole.total == 0:
        return say("slo.no_data")
    told = say(
        "slo.burning" if active else "slo.calm",
        used=verdict.budget.used,
        allowed=verdict.budget.allowed,
        window=window_name(verdict.objective.window_s),
        long=burn.long or 0.0,
        short=burn.short or 0.0,
        window_long=window_name(burn.row.long_s),
        window_short=window_name(burn.row.short_s),
        threshold=burn.row.threshold,
    )
    exhausted_in_s = verdict.exhausted_at_pace_of_s(burn)
    if not active:
        return told
    ahead = () if exhausted_in_s is None else (_ahead(exhausted_in_s),)
    parts = (told, *ahead, *(() if why is None else (why,)))
    return say("several", parts=parts) if len(parts) > 1 else told


def unattainable_phrase(verdict: Verdict) -> Phrase | None:
    """Of an objective that no server of this speed meets: why, and what to set. None of any other."""
    found = verdict.unattainable
    return None if found is None else unattainable_sentence(verdict.objective, found)


def unattainable_sentence(objective: Objective, found: Unattainable) -> Phrase:
    """The same, of its two parts."""
    is_first_token = objective.measure == "ttft"
    what = "unattainable.ttft" if is_first_token else "unattainable.duration"
    why = say(
        what if found.requests else "unattainable.longest",
        threshold=objective.threshold_s,
        too_long=found.too_long,
        requests=found.requests,
        tokens=found.typical.input_tokens if is_first_token else found.typical.output_tokens,
        takes_s=found.takes_s,
        per_s=tokens(found.per_s),
        allowed=round(100.0 * (1.0 - objective.target), 6),
    )
    to_set = say(
        "unattainable.setting" if objective.threshold_setting else "unattainable.file",
        name=objective.threshold_setting or objective.id,
        value=found.suggested_s,
    )
    return say("unattainable", why=why, to_set=to_set)


def _ahead(exhausted_in_s: float) -> Phrase:
    """How long the budget lasts, in whole units."""
    if not exhausted_in_s:
        return say("slo.spent")
    unit_s, unit = next((unit_s, unit) for least_s, unit_s, unit in _UNITS if exhausted_in_s >= least_s)
    return say("slo.ahead", span=say(unit, count=int(exhausted_in_s // unit_s)))


def _numbers(verdict: Verdict, burn: Burn) -> SloNumbers:
    return SloNumbers(
        name=verdict.objective.id,
        target=verdict.objective.target,
        window=window_name(verdict.objective.window_s),
        total=verdict.whole.total,
        bad=verdict.whole.bad,
        allowed=verdict.budget.allowed,
        budget_remaining=verdict.budget.remaining,
        burn_long=burn.long,
        burn_short=burn.short,
        window_long=window_name(burn.row.long_s),
        window_short=window_name(burn.row.short_s),
        exhausted_in_s=verdict.exhausted_at_pace_of_s(burn),
    )


def inhibit(findings: Sequence[Finding], states: States, *, behind: bool) -> list[Finding]:
    """Hold the objectives while their numbers mislead: serve is down, or the journal is still being read; and a ticket
    until the page of its objective is over."""
    is_down = is_firing(states, serving.RULE_ID) or any(
        finding.active for finding in findings if finding.rule_id == serving.RULE_ID
    )
    why = "held.serve_down" if is_down else "held.behind" if behind else None
    return [_quieter(finding, states, why) if finding.slo is not None else finding for finding in findings]


def _quieter(finding: Finding, states: States, why: str | None) -> Finding:
    is_spoken_for = finding.severity == "ticket" and inhibitor(finding, states) is not None
    why = why or ("held.page" if is_spoken_for else None)
    return _held(finding, why) if why else finding


def held_objectives(states: States) -> list[Finding]:
    """For a look that could not count: the alerts of objectives stay as they are."""
    findings = [state.finding for state in states.values()]
    return [_held(finding, "held.uncounted") for finding in findings if finding.rule_id.startswith("slo.")]


def _held(finding: Finding, why: str) -> Finding:
    return dataclasses.replace(finding, active=None, exemplars=(), reason=say("slo.held", why=say(why)))
