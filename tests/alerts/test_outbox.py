"""What a channel that was out must still deliver."""

from __future__ import annotations

from typing import Any

import pytest

from llmops.alerts import Message
from llmops.alerts.outbox import still_needed
from tests.notifiers.notices import NOW, item


def message(*actions: Any) -> Message:
    """Of the page, with these actions; `other` is the firing of another alert."""
    items = (item(rule_id="vram") if action == "other" else item(action) for action in actions)
    return Message(group="slo", at=NOW, items=tuple(items))


def left(*pending: Message) -> list[list[str]]:
    """Actions of what is left of each message."""
    return [[each.action for each in kept.items] if kept else [] for kept in still_needed(pending)]


def test_one_message_of_an_alert_stays_as_it_is() -> None:
    for action in ("firing", "repeat", "resolved"):
        assert still_needed([message(action)]) == [message(action)]


@pytest.mark.parametrize(
    ("actions", "kept"),
    [
        (("firing", "resolved"), [[], []]),
        (("firing", "repeat"), [[], ["firing"]]),
        (("repeat", "resolved"), [[], ["resolved"]]),
        (("resolved", "firing"), [[], ["repeat"]]),
        (("firing", "resolved", "firing"), [[], [], ["firing"]]),
        (("resolved", "firing", "resolved"), [[], [], ["resolved"]]),
    ],
)
def test_a_later_message_of_an_alert_takes_the_place_of_earlier_ones(
    actions: tuple[str, ...], kept: list[list[str]]
) -> None:
    assert left(*map(message, actions)) == kept


def test_other_alerts_of_the_same_message_stay() -> None:
    assert left(message("firing", "other"), message("resolved")) == [["firing"], []]
