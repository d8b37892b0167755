"""What the feed's thread tells the app."""

from __future__ import annotations

from collections.abc import Sequence

from textual.message import Message

from llmops.events import Document
from llmops.overview import Overview


class Looked(Message):
    """A new overview. While an older one waits to be shown, the newer takes its place."""

    def __init__(self, overview: Overview, look_s: float) -> None:
        super().__init__()
        self.overview = overview
        self.look_s = look_s
        """What it took to gather, in seconds."""

    def can_replace(self, message: Message) -> bool:
        """Only the newest one matters."""
        return isinstance(message, Looked)


class FoundRequest(Message):
    """The documents of a request that somebody asked for; none if the record has none."""

    def __init__(self, request_id: str, documents: Sequence[Document]) -> None:
        super().__init__()
        self.request_id = request_id
        self.documents = documents


class FeedFailed(Message):
    """The feed could not look; it will try again at the next tick."""

    def __init__(self, reason: str) -> None:
        super().__init__()
        self.reason = reason
