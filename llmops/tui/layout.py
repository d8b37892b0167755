"""Which panels fit: designed for 120x30, shed in a fixed order as the terminal shrinks."""

from __future__ import annotations

import dataclasses

SHED_ORDER = ("benchmark", "latency", "device_chart", "alerts", "throughput", "device")
"""First to go stands first; the status strip and the requests always stay."""

# Below this size the panel is gone; both columns only ever shrink, so that the order holds in each direction.
_NEEDS_WIDTH = (100, 96, 84, 70, 62, 40)
_NEEDS_HEIGHT = (29, 27, 25, 22, 18, 15)
_WIDE = 110


@dataclasses.dataclass(frozen=True, slots=True)
class Layout:
    """What is visible at one size."""

    panels: frozenset[str]
    top_rows: int
    wide: bool
    """Room for all columns of the requests and the long words of the strip."""


def fit(width: int, height: int) -> Layout:
    """The layout for a terminal of `width` x `height` cells."""
    shed = max(
        sum(width < needed for needed in _NEEDS_WIDTH),
        sum(height < needed for needed in _NEEDS_HEIGHT),
    )
    panels = frozenset(SHED_ORDER[shed:])
    return Layout(panels, _top_rows(panels, height), width >= _WIDE)


def _top_rows(panels: frozenset[str], height: int) -> int:
    """Two charts above each other want more."""
    if "device" not in panels:
        return 0
    if "latency" not in panels:
        return 7
    return 12 if height >= 29 else 10
