"""Is serve there? From a series of answers and silences to the finding `serve_down`."""

from __future__ import annotations

import dataclasses
from typing import Literal, TypeAlias

from llmops.alerts.phrases import Phrase, say
from llmops.alerts.rules import Finding
from llmops.events.snapshot import ServeSnapshot

RULE_ID = "serve_down"
KEEP_S = 5.0
"""It must answer in good health this long before it counts as back."""

Condition: TypeAlias = Literal["up", "waiting", "unreachable", "engine", "crashed"]
"""`waiting`: it starts or drains, which is neither down nor in good health."""


@dataclasses.dataclass(frozen=True, slots=True)
class Serving:
    """What is known of serve after the last look."""

    condition: Condition
    instance_id: str | None = None
    """Of the last instance that answered, also while it is silent."""
    detail: str = ""


def observe(instance_id: str | None, answer: ServeSnapshot | str) -> Serving:
    """One look: a snapshot, or in a few words why there was none. `instance_id`: who answered last, if known.

    A supervisor can be faster than the looks: an instance that follows a crash is news even if none met a silence.
    """
    if isinstance(answer, str):
        return Serving("unreachable", instance_id, answer)
    is_new = instance_id is not None and answer.instance_id != instance_id
    if is_new and answer.previous_exit == "crash":
        return Serving("crashed", answer.instance_id)
    if answer.state == "dead":
        return Serving("engine", answer.instance_id)
    if answer.state in ("starting", "draining"):
        return Serving("waiting", answer.instance_id, answer.state)
    return Serving("up", answer.instance_id)


def serve_finding(serving: Serving, *, down_for_s: float, is_firing: bool) -> Finding:
    """Down, up, or for a firing alert undecided while it starts."""
    return Finding(
        rule_id=RULE_ID,
        name=say("serve_down"),
        severity="page",
        active=_is_down(serving.condition, is_firing),
        reason=_reason(serving),
        for_s=0.0 if serving.condition == "crashed" else down_for_s,
        keep_s=KEEP_S,
    )


def _is_down(condition: Condition, is_firing: bool) -> bool | None:
    if condition == "waiting":
        return None if is_firing else False
    return condition != "up"


def _reason(serving: Serving) -> Phrase:
    return say(f"serve_down.{serving.condition}", why=serving.detail, state=serving.detail)
