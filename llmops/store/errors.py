"""How a store fails: one sentence for the user, with the fix."""

from __future__ import annotations


class StoreUnreadable(Exception):
    """There is no store at this path, or a reader cannot use the file that is there."""

    slug = "store_unreadable"


class StoreUnavailable(StoreUnreadable):
    """The disk or another program keeps the file from us for now: nothing is wrong with the file, so try again.

    reason: a few words, as in `database is locked`.
    """

    slug = "store_unavailable"

    def __init__(self, sentence: str, reason: str) -> None:
        super().__init__(sentence)
        self.reason = reason


class StoreRemoved(StoreUnreadable):
    """The file went away under its writer, which has begun a new and empty one: ask again once the journal is read."""
