"""Which objectives this server cannot meet, from the speed and the lengths of requests that the record has."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from llmops.events import BenchmarkEvent, Document
from llmops.events.names import name_of
from llmops.events.speed import SUITE, StreamSpeed
from llmops.slo import Length, Objective, Unattainable, unattainable
from llmops.store.contract import Questions

REQUESTS = 200
SPAN_S = 86400.0
"""The newest requests, of the last day, tell which lengths are usual."""


def unattainables(store: Questions, objectives: Sequence[Objective], now: float) -> dict[str, Unattainable]:
    """By the id of the objective; empty where the speed is not known."""
    run = next(iter(store.benchmarks(limit=1, suite=SUITE)), None)
    if run is None:
        return {}
    speed, longest = speed_of(run), _number(run, "default_max_tokens")
    lengths = lengths_of(store, now)
    found = (
        (each.id, unattainable(each, speed, lengths, None if longest is None else int(longest))) for each in objectives
    )
    return {name: why for name, why in found if why is not None}


def speed_of(run: Document) -> StreamSpeed:
    """What a benchmark of the suite `speed` says."""
    return StreamSpeed(_number(run, "output_tokens_per_s"), _number(run, "input_tokens_per_s"))


def lengths_of(store: Questions, now: float) -> list[Length]:
    """Of the latest requests that were answered and are judged."""
    return [
        Length(
            row.input_tokens or 0,
            row.output_tokens,
            row.duration_s,
            math.inf if row.ttft_s is None else row.ttft_s,
        )
        for row in store.requests(limit=REQUESTS, synthetic=False)
        if row.eligible and row.output_tokens and row.outcome == "success" and row.at > now - SPAN_S
    ]


def _number(run: Document, attribute: str) -> float | None:
    """A number above 0; anything else counts as absent."""
    value: Any = run.get(name_of(BenchmarkEvent, attribute))
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return float(value) if is_number and 0 < value < math.inf else None
