"""Stop strings: found across the pieces of a stream, and never shown by half."""

from __future__ import annotations

from collections.abc import Sequence


class StopMatcher:
    """Lets text pass until a stop string; holds back what may become the beginning of one."""

    def __init__(self, stops: Sequence[str]) -> None:
        self._stops = tuple(stop for stop in stops if stop)
        self._held = ""
        self.matched = False

    def feed(self, text: str) -> str:
        """The text that may be shown now. After `matched` there is never more."""
        if self.matched:
            return ""
        if not self._stops:
            return text
        seen = self._held + text
        at = min((found for stop in self._stops if (found := seen.find(stop)) >= 0), default=-1)
        if at >= 0:
            self.matched, self._held = True, ""
            return seen[:at]
        shown = len(seen) - self._beginning_at_end(seen)
        self._held = seen[shown:]
        return seen[:shown]

    def flush(self) -> str:
        """What was held back in vain; for the end of an answer that met no stop string."""
        held, self._held = self._held, ""
        return held

    def _beginning_at_end(self, seen: str) -> int:
        """Length of the longest end of `seen` that begins a stop string."""
        longest = min(len(seen), max(map(len, self._stops)) - 1)
        ends = (length for length in range(longest, 0, -1) if self._begins_stop(seen[-length:]))
        return next(ends, 0)

    def _begins_stop(self, end: str) -> bool:
        return any(stop.startswith(end) for stop in self._stops)
