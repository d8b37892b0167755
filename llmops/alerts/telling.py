"""Who is told what, and when: once, with what belongs to it, again after hours, and its end only if it was told.

The words are Alertmanager's: group_wait, group_interval, repeat_interval, inhibition. A page leaves at once, and so
does its end; tickets gather. Nothing here reads a clock, and every decision has a reason that can be shown.
"""

from __future__ import annotations

import dataclasses
import uuid
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal, TypeAlias

from llmops.alerts.inhibition import inhibitor
from llmops.alerts.lifecycle import AlertState, States, Transition
from llmops.alerts.quiet import Orders
from llmops.alerts.rules import Finding

Reason: TypeAlias = Literal[
    "new",
    "repeat",
    "told",
    "acknowledged",
    "silenced",
    "inhibited",
    "group_wait",
    "group_interval",
    "resolved",
    "hold",
]
"""Why an alert is told now (`new`, `repeat`, `resolved`) or not."""
SAYS: frozenset[Reason] = frozenset({"new", "repeat", "resolved"})


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """In seconds. `repeat_s` 0: never again. `hold_s`: an end is told after so long without a return."""

    group_wait_s: float = 30.0
    group_interval_s: float = 300.0
    repeat_s: float = 4 * 3600.0
    hold_s: float = 0.0


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What people know of an alert: which life of it, told when, how often, and how it was then. `ended`: its end,
    which is not told yet."""

    started: float
    at: float
    times: int
    finding: Finding
    ended: Transition | None = None

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values."""
        ended = {} if self.ended is None else {"ended": self.ended.to_json()}
        return {"started": self.started, "at": self.at, "times": self.times, "finding": self.finding.to_json(), **ended}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Told:
        """What `to_json` wrote; raises KeyError, TypeError or ValueError for anything else."""
        ended = value.get("ended")
        parts = {"finding": Finding.from_json(value["finding"]), "ended": ended and Transition.from_json(ended)}
        return cls(**{**value, **parts})

    def shifted(self, by_s: float) -> Told:
        """After the clock was set by so much."""
        ended = self.ended and dataclasses.replace(self.ended, at=self.ended.at + by_s)
        return dataclasses.replace(self, at=self.at + by_s, ended=ended)


@dataclasses.dataclass(frozen=True, slots=True)
class Memory:
    """What must survive a restart: alerts that people believe to be firing, groups in which something waits since a
    moment, and groups that were told of at a moment."""

    told: Mapping[str, Told] = dataclasses.field(default_factory=dict)
    waiting: Mapping[str, float] = dataclasses.field(default_factory=dict)
    groups: Mapping[str, float] = dataclasses.field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values."""
        told = {name: each.to_json() for name, each in self.told.items()}
        return {"told": told, "waiting": dict(self.waiting), "groups": dict(self.groups)}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Memory:
        """What `to_json` wrote; raises KeyError, TypeError or ValueError for anything else."""
        told = {name: Told.from_json(each) for name, each in value["told"].items()}
        return cls(told, dict(value["waiting"]), dict(value["groups"]))

    def shifted(self, by_s: float) -> Memory:
        """After the clock was set by so much: what waits has waited as long as before."""
        told = {name: each.shifted(by_s) for name, each in self.told.items()}
        waiting, groups = ({name: at + by_s for name, at in each.items()} for each in (self.waiting, self.groups))
        return Memory(told, waiting, groups)

    @classmethod
    def of_firing(cls, states: States) -> Memory:
        """Where nothing is remembered: what fires was told when it began."""
        firing = {name: state for name, state in states.items() if state.phase == "firing"}
        return cls({name: _told(state, state.started, 1) for name, state in firing.items()})


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One alert in a message. `action`: firing, repeat or resolved; `times`: how often it was told, this included."""

    action: Literal["firing", "repeat", "resolved"]
    times: int
    transition: Transition

    @property
    def event_id(self) -> str:
        """Of the transition; a repetition has one of its own. The same however often it is computed."""
        if self.action != "repeat":
            return self.transition.event_id
        return str(uuid.uuid5(uuid.UUID(self.transition.event_id), f"repeat/{self.times}"))

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {"action": self.action, "times": self.times, "transition": self.transition.to_json()}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Item:
        """What `to_json` wrote; raises KeyError, TypeError or ValueError for anything else."""
        return cls(**{**value, "transition": Transition.from_json(value["transition"])})


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """What belongs together and is told together, the worst first."""

    group: str
    at: float
    items: tuple[Item, ...]

    @property
    def id(self) -> str:
        """Of the message, the same however often it is delivered: of what it tells, and of no other."""
        return str(uuid.uuid5(uuid.UUID(self.items[0].event_id), "/".join(item.event_id for item in self.items)))

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {"group": self.group, "at": self.at, "items": [item.to_json() for item in self.items]}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Message:
        """What `to_json` wrote; raises KeyError, TypeError or ValueError for anything else."""
        return cls(**{**value, "items": tuple(map(Item.from_json, value["items"]))})


def decide(
    memory: Memory, states: States, ended: Sequence[Transition], orders: Orders, pace: Pace, now: float
) -> tuple[Memory, list[Message], dict[str, Reason]]:
    """What people hear now, what is remembered of it, and of each alert why it is told or not.

    `ended`: the resolutions of this look; an end that was missed is told from memory.
    """
    memory = _not_later_than(memory, now)
    reasons = {name: _firing_reason(name, states, memory, orders, pace, now) for name in _firing(states)}
    ends = _ends(memory, states, ended, now)
    silent = {name for name, end in ends.items() if orders.silence_of(end.finding, now)}
    memory = _with_ends(memory, ends)
    reasons |= {name: "silenced" if name in silent else _end_reason(end, pace, now) for name, end in ends.items()}
    known: dict[str, list[Item]] = {}
    for name, reason in reasons.items():
        if reason in SAYS:
            item = _item(name, reason, states, ends, memory, now)
            known.setdefault(item.transition.finding.group, []).append(item)
    messages, waiting = [], {}
    for group, items in known.items():
        why_not = _hold(group, items, memory, pace, now)
        if why_not is None:
            messages.append(Message(group=group, at=now, items=tuple(sorted(items, key=_worst_first))))
        else:
            waiting[group] = memory.waiting.get(group, now)
            reasons |= {item.transition.finding.fingerprint: why_not for item in items}
    return _after(memory, messages, silent, waiting, pace.group_interval_s, now), messages, reasons


def _firing(states: States) -> list[str]:
    return [name for name, state in states.items() if state.phase == "firing"]


def _firing_reason(name: str, states: States, memory: Memory, orders: Orders, pace: Pace, now: float) -> Reason:
    state, told = states[name], memory.told.get(name)
    if orders.silence_of(state.finding, now):
        return "silenced"
    if inhibitor(state.finding, states) is not None:
        return "inhibited"
    if told is None:
        return "new"
    if orders.acknowledgement_of(state.finding, state.started):
        return "acknowledged"
    return "repeat" if pace.repeat_s and now - told.at >= pace.repeat_s else "told"


def _ends(memory: Memory, states: States, ended: Sequence[Transition], now: float) -> dict[str, Transition]:
    """Alerts that were told and are over, or pending anew, which is over for whoever was told."""
    firing, seen = set(_firing(states)), {each.finding.fingerprint: each for each in ended}
    return {
        name: seen.get(name)
        or told.ended
        or Transition(action="resolved", at=now, started=told.started, finding=told.finding)
        for name, told in memory.told.items()
        if name not in firing
    }


def _with_ends(memory: Memory, ends: Mapping[str, Transition]) -> Memory:
    """What has ended keeps its end until it is told; what fires again has none."""
    told = {name: dataclasses.replace(each, ended=ends.get(name)) for name, each in memory.told.items()}
    return dataclasses.replace(memory, told=told)


def _end_reason(end: Transition, pace: Pace, now: float) -> Reason:
    return "hold" if now - end.at < pace.hold_s else "resolved"


def _item(
    name: str, reason: Reason, states: States, ends: Mapping[str, Transition], memory: Memory, now: float
) -> Item:
    told = memory.told.get(name)
    times = 1 + (told.times if told else 0)
    if reason == "resolved":
        return Item(action="resolved", times=times, transition=ends[name])
    state = states[name]
    transition = Transition(action="firing", at=now, started=state.started, finding=state.finding)
    return Item(action="repeat" if reason == "repeat" else "firing", times=times, transition=transition)


def _hold(group: str, items: Sequence[Item], memory: Memory, pace: Pace, now: float) -> Reason | None:
    """Why this group is not told yet."""
    if any(item.transition.finding.severity == "page" for item in items):
        return None
    told_at = memory.groups.get(group)
    if told_at is not None and now - told_at < pace.group_interval_s:
        return "group_interval"
    waits = any(item.action == "firing" for item in items) and told_at is None
    return "group_wait" if waits and now - memory.waiting.get(group, now) < pace.group_wait_s else None


def _after(
    memory: Memory,
    messages: Sequence[Message],
    silent: Iterable[str],
    waiting: Mapping[str, float],
    interval_s: float,
    now: float,
) -> Memory:
    told = {name: each for name, each in memory.told.items() if name not in set(silent)}
    groups = dict(memory.groups)
    for message in messages:
        groups[message.group] = now
        for item in message.items:
            name = item.transition.finding.fingerprint
            if item.action == "resolved":
                del told[name]
            else:
                kept = item.transition
                told[name] = Told(started=kept.started, at=now, times=item.times, finding=kept.finding)
    busy = {each.finding.group for each in told.values()}
    young = {name: at for name, at in groups.items() if name in busy or now - at < interval_s}
    return Memory(told, dict(waiting), young)


def _told(state: AlertState, at: float, times: int) -> Told:
    return Told(started=state.started, at=at, times=times, finding=state.finding)


def _not_later_than(memory: Memory, now: float) -> Memory:
    """After a clock was set back nothing waits for a moment that was."""
    told = {name: _told_by(each, now) for name, each in memory.told.items()}
    waiting, groups = ({name: min(at, now) for name, at in each.items()} for each in (memory.waiting, memory.groups))
    return Memory(told, waiting, groups)


def _told_by(told: Told, now: float) -> Told:
    ended = told.ended and dataclasses.replace(told.ended, at=min(told.ended.at, now))
    return dataclasses.replace(told, at=min(told.at, now), ended=ended)


def _worst_first(item: Item) -> tuple[bool, bool, float]:
    finding = item.transition.finding
    return item.action == "resolved", finding.severity != "page", item.transition.started
