"""Which parts of a span are answered from rows, and which from the rollups of whole minutes and hours."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator
from typing import NamedTuple

from llmops.store.answers import hour_of

MINUTE_S, HOUR_S = 60, 3600
_EVER_S = 1e11
"""Three thousand years: no span reaches further."""


class Piece(NamedTuple):
    """A part of a span. `step_s`: the rollups that answer it, 0 for rows."""

    step_s: int
    since: float
    until: float


@dataclasses.dataclass(frozen=True, slots=True)
class Horizon:
    """Since when rows and minutes are whole; before, they were pruned. Beginnings of hours."""

    rows: float = -math.inf
    minutes: float = -math.inf


def cover(since: float, until: float, horizon: Horizon, *, largest_s: int = HOUR_S) -> list[Piece]:
    """Pieces that add up to the span, oldest first, of rollups no longer than `largest_s` where there is a choice.

    Where rows are gone the span is rounded outwards to whole hours.
    """
    since, until = max(since, -_EVER_S), min(until, _EVER_S)
    if not since < until:
        return []
    gone = min(until, horizon.rows)
    pieces = [*_old(since, gone, horizon, largest_s), *_young(max(since, gone), until, horizon, largest_s)]
    return [piece for piece in pieces if piece.since < piece.until]


def _old(since: float, until: float, horizon: Horizon, largest_s: int) -> Iterator[Piece]:
    if since >= until:
        return
    begin, end = hour_of(since), _up(until, HOUR_S)
    change = end if largest_s >= HOUR_S else min(max(begin, horizon.minutes), end)
    yield Piece(HOUR_S, begin, change)
    yield Piece(MINUTE_S, change, end)


def _young(since: float, until: float, horizon: Horizon, largest_s: int) -> Iterator[Piece]:
    """Whole steps in the middle, finer ones at both ends."""
    step_s = largest_s
    if step_s == MINUTE_S and since < horizon.minutes:
        step_s = 0
    begin, end = (_up(since, step_s), until // step_s * step_s) if step_s else (until, until)
    if begin >= end:
        if step_s:
            yield from _young(since, until, horizon, MINUTE_S if step_s > MINUTE_S else 0)
        else:
            yield Piece(0, since, until)
        return
    finer = MINUTE_S if step_s > MINUTE_S else 0
    yield from _young(since, begin, horizon, finer)
    yield Piece(step_s, begin, end)
    yield from _young(end, until, horizon, finer)


def _up(moment: float, step_s: int) -> float:
    return math.ceil(moment / step_s) * step_s
