"""The contract of every channel that tells people."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from llmops.notifiers.notification import Notification


class Notifier(Protocol):
    """One channel. Called on a thread of its own, one notification at a time; may be slow."""

    name: str

    def deliver(self, notification: Notification) -> None:
        """Deliver it once. Raises DeliveryFailed when it was not received; the caller tries again."""


@runtime_checkable
class Refreshed(Protocol):
    """A channel that keeps a state of its own, and gets all active alerts every `refresh_s`."""

    refresh_s: float

    def refresh(self, active: Sequence[Notification]) -> None:
        """Send all that is active. Raises DeliveryFailed."""
