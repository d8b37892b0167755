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


_LOAD = ("url", "request_model", "max_tokens", "concurrency", "suite", "name", "version")
"""Runs that differ in one of these have nothing in common."""
_WHAT_RAN: Mapping[str, str] = {
    "model_version": "model version",
    "quantization": "quantization",
    "dtype": "dtype",
    "engine": "engine",
    "device_name": "device",
}
"""Runs that differ in one of these can be shown beside each other, and say nothing of a regression."""
_MAY_BE_UNKNOWN = ("engine", "device_name")
"""Runs of earlier versions do not have them, and a device is sampled a moment after it starts."""
_SOFTWARE: Mapping[str, str] = {
    "torch_version": "torch",
    "transformers_version": "transformers",
    "bitsandbytes_version": "bitsandbytes",
    "cuda_version": "CUDA",
    "driver_version": "driver",
}


def baseline_among(current: BenchmarkEvent, runs: Iterable[Mapping[str, Any]]) -> Mapping[str, Any] | None:
    """The first of `runs`, benchmark documents from newest to oldest, that `current` compares with."""
    return next((run for run in runs if _comparable(current, run)), None)


def unlike_among(current: BenchmarkEvent, runs: Iterable[Mapping[str, Any]]) -> Mapping[str, Any] | None:
    """The first of `runs` under the same load, whatever ran there. It is no baseline where `differences` has any."""
    return next((run for run in runs if _same_load(current, run)), None)


def differences(current: BenchmarkEvent, run: Mapping[str, Any]) -> list[str]:
    """In what the two differ, as in "dtype (float32, now bfloat16)"."""
    return _changes(current, run, _WHAT_RAN)


def software_changes(current: BenchmarkEvent, run: Mapping[str, Any]) -> list[str]:
    """Libraries and drivers that have another version now."""
    return _changes(current, run, _SOFTWARE)


def _changes(current: BenchmarkEvent, run: Mapping[str, Any], names: Mapping[str, str]) -> list[str]:
    return [
        f"{name} ({_of(run, attribute) or 'unknown'}, now {getattr(current, attribute) or 'unknown'})"
        for attribute, name in names.items()
        if _differs(getattr(current, attribute), _of(run, attribute), attribute)
    ]


def _differs(now: Any, before: Any, attribute: str) -> bool:
    return now != before and not (attribute in _MAY_BE_UNKNOWN and None in (now, before))


def compare(current: BenchmarkEvent, baseline: Mapping[str, Any] | None) -> BenchmarkEvent:
    """`current` with what changed since `baseline`, a benchmark document.

    A run of another model, version, engine, device, load or place is no baseline: nothing is said then.
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


def _comparable(current: BenchmarkEvent, run: Mapping[str, Any]) -> bool:
    return _same_load(current, run) and not differences(current, run)


def _same_load(current: BenchmarkEvent, run: Mapping[str, Any]) -> bool:
    asked = (_of(run, "completed") or 0) + (_of(run, "failed") or 0)
    same = all(getattr(current, attribute) == _of(run, attribute) for attribute in _LOAD)
    return same and asked == current.completed + current.failed


def _of(document: Mapping[str, Any], attribute: str) -> Any:
    return document.get(name_of(BenchmarkEvent, attribute))


def _change_pct(now: float | None, before: float | None) -> float | None:
    return None if now is None or not before else 100.0 * (now - before) / before
