"""How fast answers come: from runs that were measured on a host to what any other model will do there.

Decoding with the library's own loop waits for launches rather than for memory: a step takes nearly the same time for
each layer, whatever the layer's size, until reading the weights takes longer than that.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from functools import lru_cache

from llmops.fit.memory import COMPUTE_BYTES, cache_bytes
from llmops.fit.model import Model
from llmops.fit.weights import Scheme, stored_bytes

_BOUND_BY_MEMORY = 0.5
"""A run that read at this share of the card's bandwidth or more was waiting for memory, a slower one for launches."""
USUAL_EFFICIENCY = 0.71
"""Share of the bandwidth that is reached: Llama-3.1-8B in bfloat16 on an RTX 4090, the one published run that waits
for memory (47.46 tokens/s)."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One measurement: a step of `layers` layers that read `read_bytes` from memory of that bandwidth."""

    layers: int
    read_bytes: int
    bandwidth: float
    step_s: float

    @property
    def efficiency(self) -> float:
        """Share of the bandwidth that was used."""
        return self.read_bytes / (self.bandwidth * self.step_s) if self.bandwidth else 0.0

    @property
    def waited_for_memory(self) -> bool:
        """Else for launches."""
        return self.efficiency >= _BOUND_BY_MEMORY


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """What was learnt of one host and way of storing. layer_s: None while every run waited for memory.

    error: the worst share by which a run is missed, each predicted from the others when there are several.
    """

    layer_s: float | None
    efficiency: float
    runs: int
    error: float

    def step_s(self, layers: int, read_bytes: int, bandwidth: float) -> float:
        """Of one token."""
        reading_s = read_bytes / (bandwidth * self.efficiency) if bandwidth else 0.0
        return max(layers * (self.layer_s or 0.0), reading_s)


def calibrate(runs: Sequence[Run]) -> Pace:
    """At least one run, all on one host and stored in one way."""
    if len(runs) == 1:
        return _fitted(runs, 0.0)
    misses = (_miss(_fitted([*runs[:number], *runs[number + 1 :]], 0.0), run) for number, run in enumerate(runs))
    return _fitted(runs, max(misses))


def _median(values: Sequence[float]) -> float:
    ordered = sorted(values)
    return (ordered[len(ordered) // 2] + ordered[(len(ordered) - 1) // 2]) / 2


def _fitted(runs: Sequence[Run], error: float) -> Pace:
    launching = [run.step_s / run.layers for run in runs if not run.waited_for_memory]
    reading = [run.efficiency for run in runs if run.waited_for_memory]
    return Pace(
        layer_s=_median(launching) if launching else None,
        efficiency=_median(reading) if reading else USUAL_EFFICIENCY,
        runs=len(runs),
        error=error,
    )


def _miss(pace: Pace, run: Run) -> float:
    return abs(pace.step_s(run.layers, run.read_bytes, run.bandwidth) / run.step_s - 1)


def read_bytes(model: Model, scheme: Scheme, *, tokens: int = 0, batch: int = 1) -> int:
    """What a step reads: all weights but the embedding table, of experts the chosen ones, and the cache."""
    return weights_read_bytes(model, scheme, batch, COMPUTE_BYTES) + batch * cache_bytes(model.shape, tokens)


@lru_cache(maxsize=1024)
def weights_read_bytes(model: Model, scheme: Scheme, batch: int, compute_bytes: int) -> int:
    """All weights but the embedding table, of experts the chosen ones. compute_bytes: of a plain number."""
    if model.stored_bytes is not None:
        return model.stored_bytes
    share = min(1.0, batch * model.shape.active_share)
    total = 0.0
    for tensor in model.tensors:
        if ("embed_tokens" in tensor.name and not model.is_tied) or "vision" in tensor.name:
            continue
        chosen = share if ".experts" in tensor.name else 1.0
        total += chosen * tensor.copies * sum(stored_bytes(tensor, scheme, compute_bytes))
    return int(total)
