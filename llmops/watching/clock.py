"""Time for watch: notices that the clock was set, so that what is under way goes on as if it had not been."""

from __future__ import annotations

from collections.abc import Callable

STEP_S = 2.0
"""A clock that runs fast or slow, or is corrected little by little, differs by less between two looks."""


class ClockSteps:
    """Compares the clock with a stopwatch, which nobody sets. Without a stopwatch the clock is believed."""

    def __init__(self, stopwatch: Callable[[], float] | None) -> None:
        self._stopwatch = stopwatch
        self._ahead_s: float | None = None

    def look(self, now: float) -> tuple[float, float]:
        """Seconds of the stopwatch, and by how many the clock was set since the last look: 0.0 where it was not."""
        if self._stopwatch is None:
            return now, 0.0
        monotonic_s = self._stopwatch()
        before_s, self._ahead_s = self._ahead_s, now - monotonic_s
        step_s = 0.0 if before_s is None else self._ahead_s - before_s
        return monotonic_s, step_s if abs(step_s) > STEP_S else 0.0
