"""How a store fails: one sentence for the user, with the fix."""

from __future__ import annotations


class StoreUnreadable(Exception):
    """There is no store at this path, or a reader cannot use the file that is there."""

    slug = "store_unreadable"


class StoreRemoved(StoreUnreadable):
    """The file went away under its writer, which has begun a new and empty one: ask again once the journal is read."""
