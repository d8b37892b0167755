"""How alerts stand: what watch keeps of them, what people said, and why each was told or not; for other programs."""

from __future__ import annotations

import dataclasses

from llmops.alerts import AlertState, Memory, Message, Pace, decide
from llmops.alerts.quiet import Acknowledgement, Orders, Silence
from llmops.alerts.telling import Reason, Told
from llmops.store.contract import Store
from llmops.watching.looking import STATES
from llmops.watching.telling import KEY


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Undelivered:
    """A channel that has not taken an alert: how often it was tried, the last error, and when. `why` None: no try has
    failed yet."""

    channel: str
    attempts: int = 0
    why: str | None = None
    at: float | None = None


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """One alert that is pending or firing. `reason`: why it is told now, or not; None while it is pending."""

    state: AlertState
    reason: Reason | None
    told: Told | None
    silence: Silence | None
    acknowledgement: Acknowledgement | None
    undelivered: tuple[Undelivered, ...] = ()


def standings(store: Store, orders: Orders, pace: Pace, now: float) -> list[Standing]:
    """Firing ones first, pages before tickets. What cannot be read counts as nothing: watch says so in its log."""
    states, memory, undelivered = _states(store), _memory(store), _undelivered(store)
    _, _, reasons = decide(memory, states, [], orders, pace, now)
    found = [
        Standing(
            state=state,
            reason=reasons.get(name) if state.phase == "firing" else None,
            told=memory.told.get(name),
            silence=orders.silence_of(state.finding, now),
            acknowledgement=orders.acknowledgement_of(state.finding, state.started),
            undelivered=tuple(undelivered.get(name, {}).values()),
        )
        for name, state in states.items()
    ]
    return sorted(found, key=_urgency)


def _urgency(standing: Standing) -> tuple[bool, bool, float]:
    state = standing.state
    return state.phase != "firing", state.finding.severity != "page", state.started


def _states(store: Store) -> dict[str, AlertState]:
    try:
        return {name: AlertState.from_json(each) for name, each in (store.load_state(STATES) or {}).items()}
    except (KeyError, TypeError, ValueError, AttributeError):
        return {}


def _memory(store: Store) -> Memory:
    try:
        return Memory.from_json(store.load_state(KEY)["memory"])
    except (KeyError, TypeError, ValueError, AttributeError):
        return Memory()


def _undelivered(store: Store) -> dict[str, dict[str, Undelivered]]:
    """By fingerprint and channel."""
    found: dict[str, dict[str, Undelivered]] = {}
    try:
        for way in store.load_state(KEY)["on_the_way"]:
            tries = way.get("tries", {})
            for item in Message.from_json(way["message"]).items:
                name = item.transition.finding.fingerprint
                for channel in way["channels"]:
                    found.setdefault(name, {})[channel] = Undelivered(channel=channel, **tries.get(channel, {}))
    except (KeyError, TypeError, ValueError, AttributeError):
        return {}
    return found
