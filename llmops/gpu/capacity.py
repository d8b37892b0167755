"""The NVIDIA cards of this machine as the fit arithmetic wants them: memory, what of it is free, bandwidth."""

from __future__ import annotations

import ctypes
import sys
from typing import TYPE_CHECKING

from llmops.fit.cards import Box, Card
from llmops.gpu.contract import SamplerUnavailable

if TYPE_CHECKING:
    from llmops.gpu.driver import CardFacts

_REACHED = 0.75
"""Of what a PCIe link could carry, by copies from pinned memory."""
_USUAL_LINK = 16e9
"""Bytes a second: 16 lanes of the third generation, where the card does not tell."""


def read_box() -> Box | None:
    """The cards as one box of the least of them; None where no driver answers or no card tells its memory."""
    if sys.platform == "linux" and not _has_library():
        return None
    from llmops.gpu.driver import driver, facts  # the binding is slow to import, and of no use without its library

    try:
        with driver() as handles:
            cards = [card for handle in handles if (card := _card(facts(handle))) is not None]
    except SamplerUnavailable:
        return None
    if not cards:
        return None
    return Box(min(cards, key=lambda card: card.free_bytes), len(cards), is_simulated=False)


def _has_library() -> bool:
    """Whether the loader finds NVIDIA's library under the name that its binding asks for."""
    try:
        ctypes.CDLL("libnvidia-ml.so.1")
    except OSError:
        return False
    return True


def _card(found: CardFacts) -> Card | None:
    total, used = found.memory_total_bytes, found.memory_used_bytes
    if total is None or used is None:
        return None
    return Card(
        name=found.name,
        memory_bytes=total,
        free_bytes=total - used,
        bandwidth=found.memory_bandwidth_bytes_per_s or 0.0,
        link=_REACHED * (found.pcie_bytes_per_s or _USUAL_LINK),
        source="NVML",
    )
