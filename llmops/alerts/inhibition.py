"""Which alerts need not be told while another one fires: it is the cause, or the louder voice of the same thing."""

from __future__ import annotations

from llmops.alerts import serving
from llmops.alerts.cards import SILENT_RULE_ID
from llmops.alerts.lifecycle import States
from llmops.alerts.rules import Finding, fingerprint_of
from llmops.alerts.surroundings import DISK_PAGE_RULE_ID, DISK_RULE_ID

DOWN_HIDES = ("slo", "serve")
"""Groups whose numbers mean little while nothing answers."""
DOWN_HIDES_RULES = (SILENT_RULE_ID,)
"""Of other groups: it is serve that samples the cards. A hot card stays hot, and is told."""


def inhibitor(finding: Finding, states: States) -> str | None:
    """The rule that speaks for this one now: a page for the ticket of its objective, `serve_down` for what follows
    from it."""
    for rule_id in _speakers(finding):
        state = states.get(fingerprint_of(rule_id))
        if rule_id != finding.rule_id and state is not None and state.phase == "firing":
            return rule_id
    return None


def _speakers(finding: Finding) -> list[str]:
    speakers = []
    if finding.slo is not None and finding.severity == "ticket":
        speakers.append(f"slo.{finding.slo.name}.page")
    if finding.rule_id == DISK_RULE_ID:
        speakers.append(DISK_PAGE_RULE_ID)
    if finding.group in DOWN_HIDES or finding.rule_id in DOWN_HIDES_RULES:
        speakers.append(serving.RULE_ID)
    return speakers
