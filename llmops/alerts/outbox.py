"""What a channel that was out must still deliver: the last message of each alert, nothing of one that came and went."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from llmops.alerts.telling import Item, Message


def still_needed(pending: Sequence[Message]) -> list[Message | None]:
    """For each message that one channel has not delivered, in order: what is left of it, None for nothing.

    A resolution is needed only where the channel delivered that the alert fires.
    """
    told: dict[str, list[Item]] = {}
    for message in pending:
        for item in message.items:
            told.setdefault(item.transition.finding.fingerprint, []).append(item)
    last = {id(items[-1]): _last_word(items) for items in told.values()}
    return [_reduced(message, [last.get(id(item)) for item in message.items]) for message in pending]


def _last_word(items: Sequence[Item]) -> Item | None:
    first, last = items[0], items[-1]
    if len(items) == 1:
        return last
    if last.action == "resolved":
        return None if first.action == "firing" else last
    return dataclasses.replace(last, action="firing" if first.action == "firing" else "repeat")


def _reduced(message: Message, items: Sequence[Item | None]) -> Message | None:
    kept = tuple(item for item in items if item is not None)
    return dataclasses.replace(message, items=kept) if kept else None
