"""What goes wrong with Elasticsearch: one sentence each, with the fix."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path


class ElasticProblem(Exception):
    """The server cannot be used; `str(error)` is the sentence. `passing`: it may go away by itself, so wait."""

    def __init__(self, slug: str, sentence: str, *, passing: bool = False) -> None:
        super().__init__(sentence)
        self.slug = slug
        self.passing = passing


class JournalUnread(OSError):
    """Part of the journal can't be read; all else was dealt with. The sentence names the first place."""

    slug = "journal_unread"

    def __init__(self, unread: Mapping[Path, str]) -> None:
        path, reason = next(iter(unread.items()))
        more = f" and {len(unread) - 1} more" if len(unread) > 1 else ""
        super().__init__(f"{path}{more} can't be read ({reason.lower()}): let this user read it, or move it away.")


class AlreadyShipping(Exception):
    """Another shipper holds this state directory; the sentence says which process."""

    slug = "already_shipping"
