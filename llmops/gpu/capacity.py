"""The NVIDIA cards of this machine as the fit arithmetic wants them: memory, what of it is free, bandwidth."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

import pynvml

from llmops.fit.cards import Box, Card

_TRANSFERS = 2
"""Of a memory clock: data comes at both edges (GDDR, HBM)."""
_LANE_BYTES = {1: 0.25e9, 2: 0.5e9, 3: 1e9, 4: 2e9, 5: 4e9, 6: 8e9}
"""A second and PCIe lane, by generation."""
_REACHED = 0.75


def read_box() -> Box | None:
    """The cards as one box of the least of them; None where no driver answers or no card is there."""
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        return None
    try:
        cards = [_card(pynvml.nvmlDeviceGetHandleByIndex(index)) for index in range(pynvml.nvmlDeviceGetCount())]
    except pynvml.NVMLError:
        return None
    finally:
        with contextlib.suppress(pynvml.NVMLError):
            pynvml.nvmlShutdown()
    if not cards:
        return None
    return Box(min(cards, key=lambda card: card.free_bytes), len(cards), is_simulated=False)


def _card(handle: Any) -> Card:
    name = pynvml.nvmlDeviceGetName(handle)
    memory = pynvml.nvmlDeviceGetMemoryInfo(handle)
    width = _asked(lambda: pynvml.nvmlDeviceGetMemoryBusWidth(handle))
    clock_mhz = _asked(lambda: pynvml.nvmlDeviceGetMaxClockInfo(handle, pynvml.NVML_CLOCK_MEM))
    lanes = _asked(lambda: pynvml.nvmlDeviceGetMaxPcieLinkWidth(handle)) or 16
    generation = _asked(lambda: pynvml.nvmlDeviceGetMaxPcieLinkGeneration(handle)) or 3
    return Card(
        name=name.decode("utf-8", "replace") if isinstance(name, bytes) else str(name),
        memory_bytes=int(memory.total),
        free_bytes=int(memory.free),
        bandwidth=width / 8 * clock_mhz * 1e6 * _TRANSFERS,
        link=_REACHED * lanes * _LANE_BYTES.get(generation, _LANE_BYTES[3]),
        source="NVML",
    )


def _asked(ask: Callable[[], int]) -> int:
    """0 where the card does not tell."""
    try:
        return int(ask())
    except pynvml.NVMLError:
        return 0
