"""The contract of every channel that tells people."""

from __future__ import annotations

from typing import Protocol

from llmops.notifiers.notice import Notice


class Notifier(Protocol):
    """One channel. Called on a thread of its own, one notice at a time; may be slow."""

    name: str

    def deliver(self, notice: Notice) -> None:
        """Tell it. Raises DeliveryFailed when nobody can have heard it."""
