"""What was seen over the last minutes: the points that charts draw, and whether serve was restarted meanwhile."""

from __future__ import annotations

import collections
from collections.abc import Iterable, Sequence

from llmops.overview import Overview

RESTART_SHOWN_S = 300.0
_KEEP_S = 330.0


class Series:
    """Points in time, the oldest forgotten."""

    def __init__(self, keep_s: float = _KEEP_S) -> None:
        self._keep_s = keep_s
        self._points: collections.deque[tuple[float, float]] = collections.deque()

    def add(self, at: float, value: float | None) -> None:
        """Append a point; None leaves a gap."""
        if value is not None:
            self._points.append((at, value))
        while self._points and self._points[0][0] < at - self._keep_s:
            self._points.popleft()

    def points(self) -> Sequence[tuple[float, float]]:
        """Oldest first."""
        return self._points


def pool(
    points: Iterable[tuple[float, float]], since: float, until: float, columns: int, hold_s: float
) -> list[float | None]:
    """The highest value in each of `columns` equal slices of the span, so that peaks survive; None without a value.

    A point stands for the `hold_s` that follow it.
    """
    pooled: list[float | None] = [None] * columns
    scale = columns / (until - since)
    for at, value in points:
        first = max(0, int((at - since) * scale))
        last = min(columns - 1, int((at + hold_s - since) * scale - 1e-9))
        for column in range(first, last + 1):
            known = pooled[column]
            pooled[column] = value if known is None or value > known else known
    return pooled


class History:
    """Fed with each overview."""

    def __init__(self) -> None:
        self.tokens_per_s = Series()
        self.busy = Series()
        self.restarted_at: float | None = None
        self._instance: str | None = None
        self._last_at: float | None = None

    def add(self, overview: Overview) -> None:
        """Remember what charts need. The first one brings the record's past along."""
        if self._last_at is None:
            for bucket in overview.series:
                self.tokens_per_s.add(bucket.start, bucket.output_tokens / overview.series_step_s)
        elif overview.at == self._last_at:
            return
        elif overview.at < self._last_at:  # the clock was set back: what was seen lies in its future
            self.tokens_per_s, self.busy, self.restarted_at = Series(), Series(), None
        self._last_at = overview.at
        self.tokens_per_s.add(overview.at, overview.output_tokens_per_s)
        self.busy.add(overview.at, overview.devices[0].utilization if overview.devices else None)
        if overview.serve is not None:
            if self._instance not in (None, overview.serve.instance_id):
                self.restarted_at = overview.at
            self._instance = overview.serve.instance_id

    def restarted(self, now: float) -> bool:
        """Did serve come back as another process in the last minutes?"""
        return self.restarted_at is not None and 0 <= now - self.restarted_at < RESTART_SHOWN_S
