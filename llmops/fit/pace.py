"""Tokens a second as a range, with what it rests on: calibrated here, the same card elsewhere, or the card's data."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Literal, TypeAlias

from llmops.fit.cards import Box
from llmops.fit.catalogue import Hosts
from llmops.fit.cpu import cpu_read_bytes
from llmops.fit.model import Model
from llmops.fit.speed import USUAL_EFFICIENCY, Pace, read_bytes
from llmops.fit.spread import Split, copying_s, waiting_s
from llmops.fit.weights import Scheme

Basis: TypeAlias = Literal["measured here", "calibrated here", "table", "roofline", "memory bandwidth"]

HERE = "here"
"""The name under which a box's own calibration stands among the hosts; with a model's name behind it, of that alone."""
_MEASURED_MARGIN = 0.05
"""Between two runs of the same model on one host."""
_HERE_MARGIN = 0.10
"""At least: models of one host differ by up to 9 % in the published table."""
_TABLE_MARGIN = 0.25
"""The same card beside another processor, which launches at another pace."""
_HOSTS_DIFFER = 2.25
"""Between the two published hosts that ran one model stored one way: 1.037 and 0.461 ms a layer in NF4."""
_BEST_EFFICIENCY = 0.85
"""Of the bandwidth: what a plain copy reaches."""
_CPU_EFFICIENCY: Mapping[tuple[bool, bool], tuple[float, float]] = {
    (False, False): (0.1, 1.0),
    (False, True): (0.1, 1.0),
    (True, False): (0.003, 0.15),
    (True, True): (0.05, 1.0),
}
"""Of the bandwidth of a copy, at least and at most, by whether weights are quantised and whether the CPU has
instructions for bfloat16: without them each weight is made whole for each token (docs/measurements.md)."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Speed:
    """Tokens a second of one conversation of the batch.

    runs, error: how many measurements that rests on, and by which share they miss each other at worst.
    """

    low: float
    high: float
    basis: Basis
    runs: int = 0
    error: float = 0.0

    @property
    def middle(self) -> float:
        """Of the times that they stand for."""
        return 2 / (1 / self.low + 1 / self.high)


def speed_of(
    model: Model,
    scheme: Scheme,
    box: Box,
    hosts: Hosts,
    *,
    tokens: int,
    batch: int = 1,
    split: Split = "one",
    offloaded: int = 0,
) -> Speed:
    """Of a step with `tokens` in the cache; `offloaded` bytes of weights come over the link for each."""
    read = _read(model, scheme, box, tokens, batch)
    each = read // box.count if split == "tensors" else read
    quick, slow, basis = _paces(model, scheme, box, hosts)
    wait = waiting_s(model, box.count, split)
    at_best, at_worst = copying_s(offloaded, box.card.link)
    margin = _margin(basis, quick)
    fastest_s = quick.step_s(model.shape.layers, each, box.card.bandwidth) / (1 + margin) + wait + at_best
    slowest_s = slow.step_s(model.shape.layers, each, box.card.bandwidth) * (1 + margin) + wait + at_worst
    return Speed(low=1 / slowest_s, high=1 / fastest_s, basis=basis, runs=quick.runs, error=quick.error)


def _read(model: Model, scheme: Scheme, box: Box, tokens: int, batch: int) -> int:
    if box.kind == "cpu":
        return cpu_read_bytes(model, scheme, box, tokens=tokens, batch=batch)
    return read_bytes(model, scheme, tokens=tokens, batch=batch)


def _margin(basis: Basis, pace: Pace) -> float:
    least = {"measured here": _MEASURED_MARGIN, "calibrated here": _HERE_MARGIN, "table": _TABLE_MARGIN}
    return max(pace.error, least.get(basis, 0.0))


def _paces(model: Model, scheme: Scheme, box: Box, hosts: Hosts) -> tuple[Pace, Pace, Basis]:
    """The quickest and the slowest that it may be."""
    known: list[tuple[str, Basis]] = [(box.card.name, "table")]
    if not box.is_simulated:
        known = [(here(model.name), "measured here"), (HERE, "calibrated here"), *known]
    for name, basis in known:
        pace = hosts.get((name, scheme))
        if pace is not None:
            whole = dataclasses.replace(pace, layer_s=pace.layer_s or _least(hosts, name))
            return whole, whole, basis
    if box.kind == "cpu":
        low, high = _CPU_EFFICIENCY[scheme != "none", box.computes_bf16]
        fast, slow = (Pace(layer_s=None, efficiency=each, runs=0, error=0.0) for each in (high, low))
        return fast, slow, "memory bandwidth"
    quickest, slowest = _elsewhere(scheme, hosts)
    return (
        Pace(layer_s=quickest, efficiency=_BEST_EFFICIENCY, runs=0, error=0.0),
        Pace(layer_s=slowest, efficiency=USUAL_EFFICIENCY, runs=0, error=0.0),
        "roofline",
    )


def here(model_name: str) -> str:
    """The name of what was measured here of this one model."""
    return f"{HERE} {model_name}"


def _least(hosts: Hosts, name: str) -> float | None:
    """A host launches a plain layer at least as quickly as one that it must dequantise."""
    return min((pace.layer_s for (host, _), pace in hosts.items() if host == name and pace.layer_s), default=None)


def _elsewhere(scheme: Scheme, hosts: Hosts) -> tuple[float, float]:
    """The quickest and slowest layer of any other host; with one host only, as far apart as hosts were seen to be."""
    known = [
        pace.layer_s
        for (name, each), pace in hosts.items()
        if each == scheme and not name.startswith(HERE) and pace.layer_s
    ]
    slowest = max(known)
    return min([*known, slowest / _HOSTS_DIFFER]), slowest
