"""How answers about fit look in a terminal: a line for each way of storing, and a bar of what takes the memory."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator, Sequence

from llmops.fit.advice import Offload
from llmops.fit.cards import Box, Card
from llmops.fit.catalogue import RUNTIME_SCHEMES
from llmops.fit.memory import Need
from llmops.fit.model import Model
from llmops.fit.verdict import Fit
from llmops.shell.tabular import print_table
from llmops.untrusted import safe_line

_GIB = 1 << 30
_BAR = 48
_PARTS = (("weights", "█"), ("cache", "▓"), ("activations", "▒"), ("dequantised", "░"), ("context", "·"))
_EXPERTS = "Experts keep 16 bits: transformers holds them as one parameter, and bitsandbytes quantises layers only."
TRY_A_CARD = '--gpu "RTX 4070 12GB" or --gpu 2x3090 tries a card out; --cards lists them.'
_RIGHT = ("needs", "of free", "longest", "tokens/s", "parameters", "memory", "bandwidth")


def command(fit: Fit) -> str:
    """One line that measures memory and speed for real."""
    name = shlex.quote(safe_line(fit.model.name))
    if fit.scheme not in RUNTIME_SCHEMES or fit.model.stored_bytes is not None:
        return f"llmops up {name}, then llmops bench"
    return f"llmops bench quality {name}" + ("" if fit.scheme == "none" else f" --quantization {fit.scheme}")


def print_fits(fits: Sequence[Fit], chosen: Fit, left: Offload | None, split: Fit | None) -> None:
    """The table, the bar of the best row, and what one may do."""
    _say(f"{chosen.model.name}, {chosen.model.parameters / 1e9:.2f} billion parameters ({chosen.model.source})")
    _say(f"on {_box(chosen.box)}; context {chosen.context:,} tokens, batch {chosen.batch}")
    print_table(
        ("quant", "needs", "of free", "verdict", "longest", "tokens/s", "basis"),
        [(fit.stored_as, *_memory(fit), f"{fit.longest:,}", *_speed(fit)) for fit in fits],
        right=_RIGHT,
    )
    _say(f"{chosen.stored_as}: {_bar(chosen.need, chosen.free_bytes)}")
    if chosen.box.kind == "cpu":
        _say(_on_cpu(chosen))
    for line in _notes(chosen, left, split):
        _say(line)
    if chosen.share <= 1:
        _say(f"Verify: {command(chosen)}")


def _on_cpu(chosen: Fit) -> str:
    """What serve will do without a GPU, and what the speed rests on."""
    speed, rests = chosen.speed, "what a copy in memory reaches here"
    if speed.runs:
        rests = "what `llmops bench` measured here"
    will = (
        f"llmops serve will run it on the CPU, at {_range(chosen)} tokens/s ({rests}: "
        f"{chosen.box.card.bandwidth / 1e9:.0f} GB/s)."
        if chosen.share <= 1
        else "llmops serve would run it on the CPU, and there is not enough free RAM for it."
    )
    return f"No NVIDIA GPU answers here. {will} {TRY_A_CARD}"


def _notes(chosen: Fit, left: Offload | None, split: Fit | None) -> Iterator[str]:
    if chosen.model.shape.active_share < 1 and chosen.scheme != "none":
        yield _EXPERTS
    if chosen.split == "layers":
        yield "Layers lie on the cards one after another (engine.device_map), and one answer is written at a time."
    if split is not None:
        yield (
            f"Each layer over all {split.box.count} cards (vllm --tensor-parallel-size {split.box.count}): "
            f"{_gib(split.need.total)} on each, {split.word}, {_range(split)} tokens/s."
        )
    if left is not None:
        yield (
            f"bf16 with {_gib(left.bytes)} of weights in RAM (engine.cpu_offload): {left.speed.low:.2g} to "
            f"{left.speed.high:.2g} tokens/s, at least {left.slower:.1f} times as slow."
        )


def print_ranking(fits: Sequence[Fit], box: Box, batch: int) -> None:
    """What fits, the largest first."""
    _say(f"On {_box(box)}; context as shown, batch {batch}; the most exact quant that fits")
    rows = [(fit.model.name, fit.stored_as, *_memory(fit), f"{fit.context:,}", *_speed(fit)) for fit in fits]
    if rows:
        print_table(
            ("model", "quant", "needs", "of free", "verdict", "context", "tokens/s", "basis"),
            rows,
            right=(*_RIGHT, "context"),
        )
    else:
        _say("None of the known models fits.")
    if box.kind == "cpu":
        _say(f"No NVIDIA GPU answers here: llmops serve will run a model on the CPU. {TRY_A_CARD}")


def print_models(models: Iterable[Model]) -> None:
    """The catalogue."""
    rows = [(model.name, f"{model.parameters / 1e9:.2f}e9", f"{model.shape.context or 0:,}") for model in models]
    print_table(("model", "parameters", "context"), rows, right=("parameters", "context"))


def print_cards(cards: Iterable[Card]) -> None:
    """Those that can be simulated."""
    rows = [(card.name, f"{card.sold_gb} GB", f"{card.bandwidth / 1e9:,.0f} GB/s", card.source) for card in cards]
    print_table(("gpu", "memory", "bandwidth", "source"), rows, right=_RIGHT)


def _box(box: Box) -> str:
    free = f"{_gib(box.card.free_bytes)}{' of RAM' * (box.kind == 'cpu')} free" + (" on each" if box.count > 1 else "")
    return f"{box.name} ({free}{', simulated' if box.is_simulated else ''})"


def _memory(fit: Fit) -> tuple[str, str, str]:
    return _gib(fit.need.total), f"{100 * fit.share:.0f} %", fit.word


def _speed(fit: Fit) -> tuple[str, str]:
    if fit.share > 1:
        return "--", "--"
    speed = fit.speed
    own = (
        f" ({speed.runs} run{'s' * (speed.runs > 1)}, error {100 * speed.error:.0f} %)"
        if speed.basis.endswith("here")
        else ""
    )
    return _range(fit), speed.basis + own


def _range(fit: Fit) -> str:
    low, high = (f"{each:.0f}" if each >= 1 else f"{each:.1g}" for each in (fit.speed.low, fit.speed.high))
    return low if low == high else f"{low} to {high}"


def _bar(told: Need, free_bytes: int) -> str:
    """Parts as shares of what is free, or of themselves where they are more."""
    unit = max(free_bytes, told.total) / _BAR
    sizes = [(name, sign, getattr(told, name)) for name, sign in _PARTS]
    drawn = "".join(sign * round(size / unit) for _, sign, size in sizes)[:_BAR]
    legend = "  ".join(f"{sign} {name} {_gib(size)}" for name, sign, size in sizes if size >= _GIB / 100)
    return f"[{drawn.ljust(_BAR)}] {_gib(told.total)} of {_gib(free_bytes)}\n  {legend}"


def _gib(size: float) -> str:
    return f"{size / _GIB:.2f} GiB" if size < 10 * _GIB else f"{size / _GIB:.1f} GiB"


def _say(text: str) -> None:
    for line in text.split("\n"):
        print(safe_line(line))
