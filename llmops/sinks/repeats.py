"""Keeps a flood of refusals from flooding the human log: the first of each kind is told, then how many followed."""

from __future__ import annotations

import math
import time
from collections.abc import Callable

from llmops.events.names import Document

EVERY_S = 1.0
"""At most one line a kind in this time; the record has every single one."""


class Repeats:
    """`worth` says whether a document gets a line of its own; `due` the counts that were not told yet."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._told_at: dict[str, float] = {}
        self._untold: dict[str, int] = {}

    def worth(self, document: Document) -> bool:
        """Everything is, but for a refusal or a departed client of a kind that was told just now."""
        kind = document.get("error.type")
        if document.get("log.level") != "warning" or not isinstance(kind, str):
            return True
        if kind in self._untold or 0 <= self._clock() - self._told_at.get(kind, -math.inf) < EVERY_S:
            self._untold[kind] = self._untold.get(kind, 0) + 1
            return False
        self._told_at[kind] = self._clock()
        return True

    def due(self, *, all_of_them: bool = False) -> list[str]:
        """A sentence for each kind whose time has come."""
        now = self._clock()
        ripe = [kind for kind in self._untold if all_of_them or not 0 <= now - self._told_at[kind] < EVERY_S]
        self._told_at.update(dict.fromkeys(ripe, now))
        return [f"{kind}: {self._untold.pop(kind)} more" for kind in ripe]
