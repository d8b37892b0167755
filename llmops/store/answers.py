"""Shapes of answers that the stores share: exact percentiles, and time series without holes."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

from llmops.store.contract import Blame, Bucket, Percentiles, Usage

LONGEST_S = 3600.0
"""No request runs longer; who asks which ones ran at a moment need not look further than this behind it."""


def hour_of(moment: float) -> int:
    """The beginning of its hour, in Unix seconds."""
    return int(moment // 3600) * 3600


def percentiles(values: Iterable[float]) -> Percentiles:
    """Nearest rank: the smallest value that at least this share of all values does not exceed."""
    ordered = sorted(values)
    count = len(ordered)
    if not count:
        return Percentiles(count=0, p50=None, p95=None, p99=None)

    def at(percent: int) -> float:
        return ordered[max(0, -(-count * percent // 100) - 1)]

    return Percentiles(count=count, p50=at(50), p95=at(95), p99=at(99))


def steps(since: float, until: float, step_s: float) -> int:
    """How many steps cover the span; ValueError for a step of no length."""
    if step_s <= 0:
        raise ValueError("a step of a series is longer than 0 s")
    return max(0, math.ceil((until - since) / step_s - 1e-9))


def filled(found: Mapping[int, Bucket], since: float, step_s: float, count: int) -> list[Bucket]:
    """Every step in order; those without requests are empty."""
    return [
        found.get(index)
        or Bucket(start=since + index * step_s, requests=0, failed=0, output_tokens=0, max_duration_s=None)
        for index in range(count)
    ]


def most_used(sums: Iterable[tuple[str | None, Sequence[int]]], limit: int) -> list[Usage]:
    """Most requests first. A sum: requests, failed, tokens read, tokens written."""
    used = [
        Usage(key=key, requests=requests, failed=failed, input_tokens=read, output_tokens=written)
        for key, (requests, failed, read, written) in sums
    ]
    return sorted(used, key=lambda one: (-one.requests, one.key is None, one.key or ""))[: max(0, limit)]


def most_blamed(bad: Mapping[str | None, int], limit: int) -> list[Blame]:
    """Most bad requests first."""
    found = [Blame(key=key, bad=count) for key, count in bad.items()]
    return sorted(found, key=lambda one: (-one.bad, one.key is None, one.key or ""))[: max(0, limit)]
