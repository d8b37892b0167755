"""From numbers to findings: objectives, device memory, and which findings must keep quiet now."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

from llmops.alerts import serving
from llmops.alerts.lifecycle import States
from llmops.alerts.phrases import Phrase, as_is, say
from llmops.alerts.rules import Finding, Severity, SloNumbers, fingerprint_of
from llmops.slo import Burn, Objective, Verdict, window_name

SLO_KEEP_S = 60.0
"""The short windows end a burn alert; this much more keeps it from flapping at the threshold."""
VRAM_RULE_ID = "vram"
_UNITS = ((2 * 86400.0, 86400.0, "span.d"), (2 * 3600.0, 3600.0, "span.h"), (0.0, 60.0, "span.min"))
"""From when on a unit is used, its seconds, its words: 47 h are told as such, 48 h as 2 d."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class MemoryLimits:
    """Device memory as shares of what there is: fire above one, clear below another, and stay there for a while."""

    fire: float = 0.80
    clear: float = 0.75
    for_s: float = 120.0
    keep_s: float = 300.0


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


def slo_findings(verdict: Verdict, exemplars: Sequence[str] = ()) -> list[Finding]:
    """A page and a ticket for one objective. While there is reason for a page, the ticket stays as it is."""
    page, ticket = _slo_finding(verdict, "page", exemplars), _slo_finding(verdict, "ticket", exemplars)
    return [page, _held(ticket, "held.page") if page.active else ticket]


def _slo_finding(verdict: Verdict, severity: Severity, exemplars: Sequence[str]) -> Finding:
    burn = verdict.fastest(severity)
    active = verdict.exceeded(severity)
    return Finding(
        rule_id=slo_rule_id(verdict.objective.id, severity),
        name=say(f"slo.{severity}", objective=objective_name(verdict.objective)),
        severity=severity,
        active=active,
        value=burn.long,
        threshold=burn.row.threshold,
        reason=_slo_reason(verdict, burn, active),
        keep_s=SLO_KEEP_S,
        exemplars=tuple(exemplars) if active else (),
        slo=_numbers(verdict, burn),
    )


def _slo_reason(verdict: Verdict, burn: Burn, active: bool | None) -> Phrase:
    if verdict.state == "no_data":
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
    return told if not active or exhausted_in_s is None else say("several", parts=(told, _ahead(exhausted_in_s)))


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


def vram_finding(used_by_device: Mapping[str, float], limits: MemoryLimits, *, is_firing: bool) -> Finding:
    """The fullest device speaks. Once firing, the lower threshold counts, so that it cannot flap between the two."""
    device = max(used_by_device, key=lambda name: used_by_device[name], default=None)
    value = used_by_device[device] if device is not None else None
    active = None if value is None else value >= (limits.clear if is_firing else limits.fire)
    sentence = "vram.unknown" if active is None else "vram.above" if active else "vram.below"
    return Finding(
        rule_id=VRAM_RULE_ID,
        name=say("vram"),
        severity="ticket",
        active=active,
        value=value,
        threshold=limits.fire,
        reason=say(sentence, device=device, value=value, threshold=limits.clear if is_firing else limits.fire),
        for_s=limits.for_s,
        keep_s=limits.keep_s,
    )


def inhibit(findings: Sequence[Finding], states: States, *, behind: bool) -> list[Finding]:
    """Hold the objectives while their numbers mislead: serve is down, or the journal is still being read."""
    is_down = is_firing(states, serving.RULE_ID) or any(
        finding.active for finding in findings if finding.rule_id == serving.RULE_ID
    )
    why = "held.serve_down" if is_down else "held.behind" if behind else None
    return [_held(finding, why) if why and finding.slo is not None else finding for finding in findings]


def held_objectives(states: States) -> list[Finding]:
    """For a look that could not count: the alerts of objectives stay as they are."""
    findings = [state.finding for state in states.values()]
    return [_held(finding, "held.uncounted") for finding in findings if finding.rule_id.startswith("slo.")]


def _held(finding: Finding, why: str) -> Finding:
    return dataclasses.replace(finding, active=None, exemplars=(), reason=say("slo.held", why=say(why)))
