"""A run against the one before: what changed, and whether it is a regression."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any

from llmops.events import BenchmarkEvent
from llmops.events.names import name_of

THROUGHPUT_DROP_PCT = 20.0
"""Shared machines vary by some ten per cent between runs; twice that is worth a look."""
TTFT_RISE_PCT = 50.0
"""A few requests give a coarse median: only a half more is beyond its noise."""


_SAME = ("url", "request_model", "quantization", "dtype", "max_tokens", "concurrency", "suite", "name", "version")


def baseline_among(current: BenchmarkEvent, runs: Iterable[Mapping[str, Any]]) -> Mapping[str, Any] | None:
    """The first of `runs`, benchmark documents from newest to oldest, that `current` compares with."""
    return next((run for run in runs if _comparable(current, run)), None)


def compare(current: BenchmarkEvent, baseline: Mapping[str, Any] | None) -> BenchmarkEvent:
    """`current` with what changed since `baseline`, a benchmark document.

    A run of another model, load or place is no baseline: nothing is said then.
    """
    if baseline is None or not _comparable(current, baseline):
        return current
    throughput = _change_pct(current.output_tokens_per_s, _of(baseline, "output_tokens_per_s"))
    ttft = _change_pct(current.ttft_p50_s, _of(baseline, "ttft_p50_s"))
    slower = throughput is not None and throughput < -THROUGHPUT_DROP_PCT
    later = ttft is not None and ttft > TTFT_RISE_PCT
    return dataclasses.replace(
        current,
        baseline_id=_of(baseline, "benchmark_id"),
        delta_throughput_pct=throughput,
        delta_ttft_pct=ttft,
        regression=slower or later,
    )


def _comparable(current: BenchmarkEvent, baseline: Mapping[str, Any]) -> bool:
    asked = (_of(baseline, "completed") or 0) + (_of(baseline, "failed") or 0)
    same = all(getattr(current, attribute) == _of(baseline, attribute) for attribute in _SAME)
    return same and asked == current.completed + current.failed


def _of(document: Mapping[str, Any], attribute: str) -> Any:
    return document.get(name_of(BenchmarkEvent, attribute))


def _change_pct(now: float | None, before: float | None) -> float | None:
    return None if now is None or not before else 100.0 * (now - before) / before
