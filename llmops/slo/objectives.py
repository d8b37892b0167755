"""What good means: objectives as ratios of good to all requests, and the budget of failures they grant."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Collection
from typing import Literal, TypeAlias

Measure: TypeAlias = Literal["success", "duration", "ttft", "duration_for_length", "probe"]
"""What makes one bad. success: the request failed. duration: it took longer than `threshold_s`. ttft: its first token
came later than `threshold_s`, or it failed before one came. duration_for_length: it took longer than the limit that
serve recorded for its length. probe: a synthetic request of the canary failed."""
LIMITED: tuple[Measure, ...] = ("duration", "ttft")
"""Measures with a threshold."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Objective:
    """A share `target` of the eligible requests, or of the probes, of the last `window_s` must be good."""

    id: str
    measure: Measure
    target: float
    window_s: float
    threshold_s: float | None = None
    name: str = ""
    """For people; empty: what it measures says it."""
    is_explicit: bool = dataclasses.field(default=True, compare=False)
    """Somebody wrote it; False: it is a default, which does not alert where this machine cannot attain it."""
    threshold_setting: str = dataclasses.field(default="", compare=False)
    """The setting that `threshold_s` comes from; empty: a file of objectives."""

    def __post_init__(self) -> None:
        """A target of 1 grants no budget to divide by; one of 0 asks for nothing."""
        if not 0.0 < self.target < 1.0:
            raise ValueError(f"the target of {self.id} must lie between 0 and 1, not at {self.target}")
        if (self.measure in LIMITED) != (self.threshold_s is not None):
            raise ValueError(f"{self.id} measures {self.measure}; a threshold goes with {' and '.join(LIMITED)} alone")
        if self.threshold_s is not None and not 0.0 < self.threshold_s < math.inf:
            raise ValueError(f"the threshold of {self.id} must be seconds above 0, not {self.threshold_s}")


@dataclasses.dataclass(frozen=True, slots=True)
class Tally:
    """Eligible requests of one window: all of them, and the bad ones."""

    total: int
    bad: int

    def __post_init__(self) -> None:
        """A tally that cannot be is a mistake of the caller."""
        if not 0 <= self.bad <= self.total:
            raise ValueError(f"{self.bad} bad of {self.total} requests cannot be")


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """`used` of `allowed` failures. None of it is known (`remaining` is None) while there is no traffic."""

    used: int
    allowed: int
    remaining: float | None
    """1 untouched, 0 spent, negative overspent."""


def budget(objective: Objective, whole: Tally) -> Budget:
    """Failures as a count, as a person counts them: the target grants a part of what came in."""
    granted = (1.0 - objective.target) * whole.total
    return Budget(
        used=whole.bad,
        allowed=math.floor(granted + 1e-9),
        remaining=1.0 - whole.bad / granted if whole.total else None,
    )


def default_objectives(
    *,
    window_s: float,
    latency_threshold_s: float,
    latency_target: float,
    availability_target: float,
    ttft_threshold_s: float,
    ttft_target: float,
    speed_target: float = 0.99,
    explicit: Collection[str] = ("availability", "latency", "speed", "ttft"),
) -> tuple[Objective, ...]:
    """The objectives of a fresh install: requests succeed, they are fast, also for their length, and they begin to
    answer early. `explicit`: ids of those whose numbers somebody wrote."""
    return (
        Objective(
            id="availability",
            measure="success",
            target=availability_target,
            window_s=window_s,
            is_explicit="availability" in explicit,
        ),
        Objective(
            id="latency",
            measure="duration",
            target=latency_target,
            window_s=window_s,
            threshold_s=latency_threshold_s,
            is_explicit="latency" in explicit,
            threshold_setting="latency_threshold_s",
        ),
        Objective(
            id="ttft",
            measure="ttft",
            target=ttft_target,
            window_s=window_s,
            threshold_s=ttft_threshold_s,
            is_explicit="ttft" in explicit,
            threshold_setting="ttft_threshold_s",
        ),
        Objective(
            id="speed",
            measure="duration_for_length",
            target=speed_target,
            window_s=window_s,
            is_explicit="speed" in explicit,
        ),
    )
