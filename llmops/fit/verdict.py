"""The answer: whether a model fits a box, how long a conversation may be, how fast it goes, and what one should try."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from typing import Literal, TypeAlias

from llmops.fit.cards import Box
from llmops.fit.catalogue import NAMES, RUNTIME_SCHEMES, Hosts
from llmops.fit.cpu import FLOAT_BYTES, compute_bytes, cpu_need
from llmops.fit.errors import BadFit
from llmops.fit.memory import Need, need
from llmops.fit.model import Model
from llmops.fit.pace import Speed, speed_of
from llmops.fit.spread import Split, can_split_tensors, fullest
from llmops.fit.weights import Scheme

Word: TypeAlias = Literal["comfortable", "tight", "risky", "no"]

COMFORTABLE = 0.80
TIGHT = 0.95
"""Of the memory that is free. Above it the allocator's slack, 2 to 10 %, decides."""
DEFAULT_CONTEXT = 4096
_LONGEST = 1 << 20
_TOLD: tuple[Word, ...] = ("comfortable", "tight", "risky", "no")


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Fit:
    """One model, stored one way, on one box. free_bytes: of the fullest card."""

    model: Model
    scheme: Scheme
    box: Box
    split: Split
    context: int
    batch: int
    need: Need
    speed: Speed

    @property
    def longest(self) -> int:
        """The longest conversation that fits, in tokens; 0 where none does."""
        return longest_context(self.model, self.scheme, self.box, batch=self.batch, split=self.split)

    @property
    def stored_as(self) -> str:
        """The way of storing as people call it; on a CPU plain weights are mostly float32."""
        if self.scheme == "none" and self.box.kind == "cpu" and compute_bytes(self.model, self.box) == FLOAT_BYTES:
            return "float32"
        return NAMES.get(self.scheme, self.scheme)

    @property
    def free_bytes(self) -> int:
        """On each card."""
        return self.box.card.free_bytes

    @property
    def share(self) -> float:
        """Of the free memory that is taken."""
        return self.need.total / max(1, self.free_bytes)

    @property
    def word(self) -> Word:
        """The verdict."""
        return word_of(self.share)

    @property
    def fits(self) -> bool:
        """Comfortably or tightly."""
        return self.share <= TIGHT


def word_of(share: float) -> Word:
    """From the share of free memory that is taken."""
    return _TOLD[(share >= COMFORTABLE) + (share > TIGHT) + (share > 1.0)]


def judge(model: Model, scheme: Scheme, box: Box, hosts: Hosts, *, context: int, batch: int = 1) -> Fit:
    """On several cards the split that the engine can do: layers one after another. Raises BadFit."""
    return judge_split(model, scheme, box, hosts, context=context, batch=batch, split=_split(box))


def judge_split(
    model: Model, scheme: Scheme, box: Box, hosts: Hosts, *, context: int, batch: int = 1, split: Split
) -> Fit:
    """The same for a split that is asked for. Raises BadFit."""
    if split == "tensors" and not can_split_tensors(model, box.count):
        raise BadFit(
            "bad_split",
            f"{model.name} has {model.shape.kv_heads} key-value heads, which {box.count} cards can't share evenly: "
            "take a number of cards that divides them.",
        )
    whole = _need(model, scheme, box, prompt=context, batch=batch)
    return Fit(
        model=model,
        scheme=scheme,
        box=box,
        split=split,
        context=context,
        batch=batch,
        need=fullest(whole, model, box.count, split),
        speed=speed_of(model, scheme, box, hosts, tokens=context, batch=batch, split=split),
    )


def _need(model: Model, scheme: Scheme, box: Box, *, prompt: int, batch: int) -> Need:
    if box.kind == "cpu":
        return cpu_need(model, scheme, box, prompt=prompt, batch=batch)
    return need(model, scheme, prompt=prompt, batch=batch)


def _split(box: Box) -> Split:
    return "one" if box.count == 1 else "layers"


def context_of(model: Model, asked: int | None) -> int:
    """What is assumed when nothing is asked: 4,096, or all that the model has. Raises BadFit."""
    most = model.shape.context
    if asked is not None and most is not None and asked > most:
        raise BadFit(
            "context_too_long", f"--ctx {asked}: {model.name} was made for {most} tokens; give at most {most}."
        )
    return min(DEFAULT_CONTEXT, most or DEFAULT_CONTEXT) if asked is None else asked


def longest_context(model: Model, scheme: Scheme, box: Box, *, batch: int = 1, split: Split = "one") -> int:
    """The longest prompt and answer that still fits tightly, at most what the model was made for."""
    room = TIGHT * box.card.free_bytes
    low, high = 0, model.shape.context or _LONGEST
    while low < high:
        middle = (low + high + 1) // 2
        whole = _need(model, scheme, box, prompt=middle, batch=batch)
        if fullest(whole, model, box.count, split).total <= room:
            low = middle
        else:
            high = middle - 1
    return low


def best(fits: Iterable[Fit]) -> Fit:
    """The most exact way of storing that fits; where none does, the smallest."""
    told = list(fits)
    return next((fit for fit in told if fit.fits), min(told, key=lambda fit: fit.share))


def rank(
    models: Sequence[Model], box: Box, hosts: Hosts, *, context: int | None, batch: int, at_least: float = 0.0
) -> list[Fit]:
    """What fits, the largest model first, each stored as exactly as it can be at that speed in tokens a second."""
    found = []
    for model in models:
        most = model.shape.context
        if context is not None and most is not None and context > most:
            continue
        told = (
            judge(model, each, box, hosts, context=context_of(model, context), batch=batch) for each in RUNTIME_SCHEMES
        )
        fitting = next((fit for fit in told if fit.fits and fit.speed.high >= at_least), None)
        found += [fitting] if fitting is not None else []
    return sorted(found, key=lambda fit: -fit.model.parameters)
