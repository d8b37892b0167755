"""Tokens a second over the last second, for the screens."""

from __future__ import annotations

import collections
import itertools
from collections.abc import Callable, Sequence

_WINDOW_S = 1.0


class TokenMeter:
    """A sliding window of (moment, tokens); moments are monotonic seconds."""

    def __init__(self) -> None:
        self.on_gap: Callable[[float], None] | None = None
        """Told the seconds between each two tokens of an answer."""
        self._pieces: collections.deque[tuple[float, int]] = collections.deque()
        self._sum = 0

    def add(self, tokens: int, at: float) -> None:
        """Note tokens that the engine produced."""
        if tokens:
            self._pieces.append((at, tokens))
            self._sum += tokens
            self._forget(at)

    def gaps(self, times: Sequence[float]) -> None:
        """When an answer's new tokens came, and first of all the one before them."""
        if self.on_gap is not None:
            for earlier, later in itertools.pairwise(times):
                self.on_gap(max(0.0, later - earlier))

    def rate(self, now: float) -> float:
        """Output tokens a second over the last second."""
        self._forget(now)
        return self._sum / _WINDOW_S

    def _forget(self, now: float) -> None:
        while self._pieces and self._pieces[0][0] <= now - _WINDOW_S:
            self._sum -= self._pieces.popleft()[1]
