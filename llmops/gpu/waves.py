"""A load that swells: a sum of waves, whose lagged answer and whose sum over time are known exactly."""

from __future__ import annotations

import dataclasses
import math


@dataclasses.dataclass(frozen=True, slots=True)
class Wave:
    """A cosine; `phase` in turns."""

    height: float
    period_s: float
    phase: float


@dataclasses.dataclass(frozen=True, slots=True)
class Waves:
    """Around a middle value."""

    middle: float
    waves: tuple[Wave, ...]

    def at(self, now: float, lag_s: float = 0.0) -> float:
        """The value; with a lag, of something that follows it as slowly as that: heat, or a cache that fills."""
        total = self.middle
        for wave in self.waves:
            turn = 2 * math.pi / wave.period_s
            behind = math.atan(turn * lag_s)
            total += wave.height * math.cos(behind) * math.cos(turn * now + 2 * math.pi * wave.phase - behind)
        return total

    def integral(self, now: float) -> float:
        """Over the time from 0, give or take a constant."""
        total = self.middle * now
        for wave in self.waves:
            turn = 2 * math.pi / wave.period_s
            total += wave.height / turn * math.sin(turn * now + 2 * math.pi * wave.phase)
        return total
