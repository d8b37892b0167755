"""The life of an alert: inactive, pending for `for_s`, firing, and resolved after being clear for `keep_s`.

The words are those of Prometheus. Nothing here reads a clock: `now` is passed in.
"""

from __future__ import annotations

import dataclasses
import math
import uuid
from collections.abc import Mapping, Sequence
from typing import Any, Literal, TypeAlias

from llmops.alerts.phrases import say
from llmops.alerts.rules import Finding

Action: TypeAlias = Literal["pending", "firing", "resolved", "inactive"]
"""`inactive`: it cleared while it was pending. That is recorded, and nobody is told."""
_IDS = uuid.UUID("5f0c8a52-7c39-5d0e-9a53-9d0f6f0f5b11")


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class AlertState:
    """An alert that is pending or firing; an inactive one has no state."""

    phase: Literal["pending", "firing"]
    started: float
    """Since when, in Unix seconds, whole milliseconds; part of the identity of this life."""
    active_since: float
    clear_since: float | None
    finding: Finding
    """As it was when last known to be active."""

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values, for keeping."""
        return {
            "phase": self.phase,
            "started": self.started,
            "active_since": self.active_since,
            "clear_since": self.clear_since,
            "finding": self.finding.to_json(),
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> AlertState:
        """What `to_json` wrote; raises KeyError, TypeError or ValueError for anything else."""
        return cls(**{**value, "finding": Finding.from_json(value["finding"])})


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Transition:
    """One change of one alert."""

    action: Action
    at: float
    started: float
    finding: Finding

    @property
    def event_id(self) -> str:
        """The same transition has the same id, however often it is computed."""
        milliseconds = round(self.started * 1000)
        return str(uuid.uuid5(_IDS, f"{self.finding.fingerprint}/{milliseconds}/{self.action}"))

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values, for keeping."""
        return {"action": self.action, "at": self.at, "started": self.started, "finding": self.finding.to_json()}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Transition:
        """What `to_json` wrote; raises KeyError, TypeError or ValueError for anything else."""
        return cls(**{**value, "finding": Finding.from_json(value["finding"])})


States: TypeAlias = Mapping[str, AlertState]


def shifted(states: States, by_s: float) -> dict[str, AlertState]:
    """The states after the clock was set by so much: what they wait for is as far away as before. `started` is part of
    an identity, and stays."""
    return {
        name: dataclasses.replace(
            state,
            active_since=state.active_since + by_s,
            clear_since=None if state.clear_since is None else state.clear_since + by_s,
        )
        for name, state in states.items()
    }


_Step: TypeAlias = tuple[AlertState | None, tuple[Transition, ...]]


def advance(states: States, findings: Sequence[Finding], now: float) -> tuple[dict[str, AlertState], list[Transition]]:
    """The states after these findings, by fingerprint, and what changed.

    An alert whose rule is not among the findings any more has lost its judge, and ends.
    """
    after: dict[str, AlertState] = {}
    transitions: list[Transition] = []
    judged = {finding.fingerprint: finding for finding in findings}
    orphans = {fingerprint: state for fingerprint, state in states.items() if fingerprint not in judged}
    for fingerprint, finding in judged.items():
        state, changes = _step(states.get(fingerprint), finding, now)
        if state is not None:
            after[fingerprint] = state
        transitions += changes
    for state in orphans.values():
        transitions.append(_end(state, dataclasses.replace(state.finding, reason=say("not_judged")), now))
    return after, transitions


def _step(state: AlertState | None, finding: Finding, now: float) -> _Step:
    if state is None:
        return _begin(finding, now) if finding.active else (None, ())
    return _pend(state, finding, now) if state.phase == "pending" else _fire(state, finding, now)


def _begin(finding: Finding, now: float) -> _Step:
    started = math.floor(now * 1000) / 1000
    pending = AlertState(phase="pending", started=started, active_since=now, clear_since=None, finding=finding)
    state, changes = _pend(pending, finding, now)
    return state, (Transition(action="pending", at=now, started=started, finding=finding), *changes)


def _pend(state: AlertState, finding: Finding, now: float) -> _Step:
    if finding.active is None:
        return state, ()
    if not finding.active:
        return None, (_end(state, finding, now),)
    since = min(state.active_since, now)  # a clock set back must not put the alert off
    if now - since < finding.for_s:
        return dataclasses.replace(state, active_since=since, finding=finding), ()
    fired = dataclasses.replace(state, phase="firing", active_since=since, finding=finding)
    return fired, (Transition(action="firing", at=now, started=state.started, finding=finding),)


def _fire(state: AlertState, finding: Finding, now: float) -> _Step:
    if finding.active is None:
        return dataclasses.replace(state, clear_since=None), ()
    if finding.active:
        return dataclasses.replace(state, clear_since=None, finding=finding), ()
    since = now if state.clear_since is None else min(state.clear_since, now)
    if now - since < finding.keep_s:
        return dataclasses.replace(state, clear_since=since), ()
    return None, (_end(state, finding, now),)


def _end(state: AlertState, finding: Finding, now: float) -> Transition:
    """Only what fired is resolved."""
    action: Action = "resolved" if state.phase == "firing" else "inactive"
    exemplars = finding.exemplars or state.finding.exemplars
    return Transition(
        action=action, at=now, started=state.started, finding=dataclasses.replace(finding, exemplars=exemplars)
    )
