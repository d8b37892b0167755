"""What a channel delivers at once: the notices of one group, the worst first."""

from __future__ import annotations

import dataclasses
from typing import Any

from llmops.alerts import Message
from llmops.alerts.phrases import Language
from llmops.notifiers.notice import Notice, compose

SCHEMA_VERSION = "1"
"""Of `to_json`; a field that changes its meaning raises it."""


@dataclasses.dataclass(frozen=True, slots=True)
class Notification:
    """`id` is the same for a repeated delivery."""

    id: str
    group: str
    notices: tuple[Notice, ...]

    @property
    def first(self) -> Notice:
        """The worst of them, which stands for all where there is room for one."""
        return self.notices[0]

    @property
    def is_over(self) -> bool:
        """All of them have ended."""
        return all(notice.action == "resolved" for notice in self.notices)

    @property
    def title(self) -> str:
        """A subject line."""
        more = f" (+{len(self.notices) - 1})" if len(self.notices) > 1 else ""
        return f"[llmops] {self.first.headline}{more}"

    @property
    def text(self) -> str:
        """All of it without markup, a line for each."""
        return "\n".join(notice.text for notice in self.notices)

    def to_json(self) -> dict[str, Any]:
        """The body of the webhook: schema_version, id, group, the keys of the first notice, and `alerts` with the keys
        of each."""
        head = {"schema_version": SCHEMA_VERSION, "id": self.id, "group": self.group}
        return head | self.first.to_json() | {"alerts": [notice.to_json() for notice in self.notices]}


def notification_of(message: Message, *, state: str = "", language: Language = "en") -> Notification:
    """The message in words; `state` is the folder whose record its commands look into."""
    notices = tuple(compose(item, state=state, language=language) for item in message.items)
    return Notification(id=message.id, group=message.group, notices=notices)
