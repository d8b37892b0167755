"""The contract of every channel that tells people."""

from __future__ import annotations

from typing import Protocol

from llmops.notifiers.notification import Notification


class Notifier(Protocol):
    """One channel. Called on a thread of its own, one notification at a time; may be slow."""

    name: str

    def deliver(self, notification: Notification) -> None:
        """Tell it once. Raises DeliveryFailed when nobody can have heard it; who calls tries again."""
