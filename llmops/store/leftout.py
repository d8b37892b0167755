"""Leaves out of the record what is older than what was deleted; says so once, and again at ten times as many."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping, Sequence

from llmops.events.names import timestamp
from llmops.store.columns import Columns, kept_as

_log = logging.getLogger(__name__)


class LeftOut:
    """How many events one store did not take, and when to tell it next."""

    def __init__(self) -> None:
        self.count = 0
        self._tell_at = 1

    def sift(self, rows: Sequence[Columns], pruned: Mapping[str, float]) -> Sequence[Columns]:
        """The rows to record. `pruned`: until when each kind was deleted; what is older may have been counted."""
        if not pruned:
            return rows
        taken = [row for row in rows if row.at >= pruned.get(kept_as(row.dataset), -math.inf)]
        self.count += len(rows) - len(taken)
        if self.count >= self._tell_at:
            self._tell_at = 10 * self.count
            self._tell(pruned)
        return taken

    def _tell(self, pruned: Mapping[str, float]) -> None:
        _log.warning(
            "%d events were not recorded: they are older than what was deleted (%s), and may have been counted before. "
            "To count them all the same, stop watch, delete the store, and watch makes it again from the journal.",
            self.count,
            ", ".join(f"{kept} before {timestamp(until)[:16]}Z" for kept, until in sorted(pruned.items())),
        )
