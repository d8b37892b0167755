"""What torch's allocator holds on a card, now and at most; nothing of it is known on a CPU."""

from __future__ import annotations

import dataclasses

import torch


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class DeviceMemory:
    """Bytes of this process. peak_*: the highest since `forget_peak`."""

    allocated: int
    reserved: int
    peak_allocated: int
    peak_reserved: int


def memory_of(device: torch.device) -> DeviceMemory | None:
    """None on a CPU."""
    if device.type != "cuda":
        return None
    return DeviceMemory(
        allocated=torch.cuda.memory_allocated(device),
        reserved=torch.cuda.memory_reserved(device),
        peak_allocated=torch.cuda.max_memory_allocated(device),
        peak_reserved=torch.cuda.max_memory_reserved(device),
    )


def forget_peak(device: torch.device) -> None:
    """What is held now is the peak from here on."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
