"""A model on several cards, or partly in RAM: what the fullest card holds, and what a step then takes."""

from __future__ import annotations

import dataclasses
from typing import Literal, TypeAlias

from llmops.fit.memory import Need, need, resident_bytes
from llmops.fit.model import Model
from llmops.fit.weights import Scheme

Split: TypeAlias = Literal["one", "layers", "tensors"]
"""One card; layers one after another over cards (a device map); every layer over all cards (tensor parallel)."""

ALL_REDUCE_S = 30e-6
"""Of a small message between two cards: NCCL's latency over PCIe is 20 to 40 microseconds."""
_SYNCHRONISED = 2
"""Times in a layer that cards wait for each other: after attention, and after the feed-forward part."""
_SLOWEST_LINK = 0.25
"""Of the link: weights are copied from memory that the system may swap. Pinned memory would reach all of it."""


def fullest(whole: Need, model: Model, cards: int, split: Split) -> Need:
    """What the fullest of the cards needs, of a need that one card would have."""
    if cards == 1 or split == "one":
        return whole
    layers = model.shape.layers
    if split == "layers":  # shares differ by one layer at most; each holds the activations when its turn comes
        share = 1 / cards + 1 / layers
        return dataclasses.replace(whole, weights=int(whole.weights * share), cache=int(whole.cache * share))
    kept = min(model.embedding_bytes, whole.weights)
    return dataclasses.replace(
        whole,
        weights=kept + (whole.weights - kept) // cards,
        cache=whole.cache // cards,
        dequantised=whole.dequantised // cards,
    )


def can_split_tensors(model: Model, cards: int) -> bool:
    """Whether each card gets whole heads of keys and values."""
    return model.shape.kv_heads % cards == 0


def offloaded_bytes(model: Model, scheme: Scheme, free_bytes: int, *, prompt: int, batch: int) -> int | None:
    """Weights that must stay in RAM so that the rest fits; None where they can't, or even that is not enough."""
    if scheme != "none":  # bitsandbytes wants all layers on the card
        return None
    over = need(model, scheme, prompt=prompt, batch=batch).total - free_bytes
    movable = resident_bytes(model, scheme) - 2 * model.embedding_bytes
    return over if 0 < over <= movable else None


def copying_s(offloaded: int, link: float) -> tuple[float, float]:
    """What a step takes longer for each visit of the weights in RAM: at best, at worst."""
    return offloaded / link, offloaded / (link * _SLOWEST_LINK)


def waiting_s(model: Model, cards: int, split: Split) -> float:
    """What a step takes longer because cards wait for each other."""
    if cards == 1 or split == "one":
        return 0.0
    if split == "layers":
        return (cards - 1) * ALL_REDUCE_S
    return _SYNCHRONISED * model.shape.layers * ALL_REDUCE_S
