"""GPUs: what a card has, the catalogue of those that can be simulated, and how people write them."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Iterable, Sequence
from typing import Literal

from llmops.fit.errors import BadFit, nearest

_GIB = 1 << 30
_RESERVED_BYTES = int(0.45 * _GIB)
"""What the driver keeps of an empty card: 0.3 to 0.5 GiB as nvidia-smi says on cards of 8 to 80 GB."""
_MOST_CARDS = 64
_COUNT = re.compile(r"^(\d+)\s*[x×*]\s*(?=\D|\d{3,})", re.IGNORECASE)
_MEMORY = re.compile(r"[\s-]*\b(\d+)\s*(?:gb|gib|g)\b", re.IGNORECASE)
_BRANDS = ("nvidia", "geforce", "tesla", "quadro")


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """bandwidth: bytes a second between the card's memory and its cores, 0 where that is not known.
    also: what drivers and people call it too. link: the same between RAM and card."""

    name: str
    memory_bytes: int
    free_bytes: int
    bandwidth: float
    link: float = 16e9
    sold_gb: int = 0
    also: tuple[str, ...] = ()
    source: str = ""


@dataclasses.dataclass(frozen=True, slots=True)
class Box:
    """Cards of one kind in one machine, or its processors and RAM.

    computes_bf16: whether its processors have instructions for bfloat16.
    """

    card: Card
    count: int = 1
    is_simulated: bool = True
    kind: Literal["gpu", "cpu"] = "gpu"
    computes_bf16: bool = False

    @property
    def name(self) -> str:
        """As people say it."""
        return self.card.name if self.count == 1 else f"{self.count} x {self.card.name}"


def cards_of(text: str) -> tuple[Card, ...]:
    """The catalogue from its JSON."""
    return tuple(
        Card(
            name=row["name"],
            memory_bytes=int(row["gib"] * _GIB),
            free_bytes=int(row["gib"] * _GIB) - _RESERVED_BYTES,
            bandwidth=row["gb_s"] * 1e9,
            link=row["link_gb_s"] * 1e9,
            sold_gb=int(row["gb"]),
            also=tuple(row.get("also", ())),
            source=row["source"],
        )
        for row in json.loads(text)["cards"]
    )


def box_of(text: str, cards: Sequence[Card]) -> Box:
    """From `RTX 4070 12GB`, `2x3090` or `a100-40gb`. Raises BadFit."""
    count, rest = _counted(text.strip())
    asked = _MEMORY.search(rest)
    name = _plain(_MEMORY.sub("", rest))
    found = [card for card in cards if _spellings(card) & {name, f"rtx{name}", f"gtx{name}"}]
    if not name or not found:
        raise BadFit("unknown_gpu", _unknown(text, name, cards))
    if asked is None and len(found) > 1:
        names = " or ".join(f'"{card.name}"' for card in found)
        raise BadFit("unknown_gpu", f"--gpu {text}: there is more than one; give {names}.")
    sized = [card for card in found if asked is None or card.sold_gb == int(asked[1])]
    if not sized:
        sizes = " or ".join(f"{card.sold_gb} GB" for card in found)
        raise BadFit("unknown_gpu", f"--gpu {text}: a {_family(found[0])} has {sizes}.")
    return Box(sized[0], count)


def _counted(text: str) -> tuple[int, str]:
    found = _COUNT.match(text)
    if found is None:
        return 1, text
    if not 1 <= int(found[1][:9]) <= _MOST_CARDS:
        raise BadFit("unknown_gpu", f"--gpu {text}: give 1 to {_MOST_CARDS} cards.")
    return int(found[1]), text[found.end() :]


def _plain(name: str) -> str:
    lowered = name.casefold()
    for brand in _BRANDS:
        lowered = lowered.replace(brand, "")
    return re.sub(r"[^a-z0-9]", "", lowered)


def _spellings(card: Card) -> set[str]:
    return {_plain(_MEMORY.sub("", each)) for each in (card.name, *card.also)}


def _family(card: Card) -> str:
    return _MEMORY.sub("", card.name)


def _unknown(text: str, name: str, cards: Iterable[Card]) -> str:
    spelled = {_plain(_MEMORY.sub("", card.name)): card.name for card in cards}
    near = spelled.get(nearest(name, spelled) or "")
    return f"--gpu {text}: no such card is known" + (
        f"; did you mean {near}?" if near else "; `llmops fit --cards` lists those that are."
    )
