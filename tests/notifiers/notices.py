"""Notices and notifications for the tests of the channels."""

from __future__ import annotations

from typing import Any

from llmops.alerts import Finding, Item, Message, Transition, as_is
from llmops.alerts.lifecycle import Action
from llmops.alerts.phrases import Language
from llmops.notifiers import Notice, Notification, notification_of

NOW = 1_700_000_000.0
STATE = "/var/lib/llmops"


def item(action: Any = "firing", **fields: Any) -> Item:
    """A page, two minutes old; texts are taken as they are."""
    values: dict[str, Any] = {"rule_id": "slo.latency.page", "name": "Fast", "severity": "page", "active": True}
    values |= {"reason": "3 of 14 failures used", "value": 20.0, "threshold": 14.4} | fields
    texts = {
        name: as_is(values[name]) if isinstance(values[name], str) else values[name] for name in ("name", "reason")
    }
    finding = Finding(**(values | texts))
    what: Action = "resolved" if action == "resolved" else "firing"
    transition = Transition(action=what, at=NOW + 120, started=NOW, finding=finding)
    return Item(action=action, times=2 if action == "repeat" else 1, transition=transition)


def notification(*items: Item, language: Language = "en", state: str = STATE) -> Notification:
    """Of these alerts, or of the page alone."""
    message = Message(group="slo", at=NOW + 120, items=items or (item(),))
    return notification_of(message, state=state, language=language)


def notice(action: Any = "firing", *, language: Language = "en", state: str = STATE, **fields: Any) -> Notice:
    """The only one of a notification."""
    return notification(item(action, **fields), language=language, state=state).first
