"""Who a card, or a part of one, is; and the memory, which is all that NVML tells of both."""

from __future__ import annotations

import dataclasses
from typing import Any

import pynvml

from llmops.gpu.asking import Questions


@dataclasses.dataclass(frozen=True, slots=True)
class Identity:
    """`id` is the one that `CUDA_VISIBLE_DEVICES` takes: `GPU-...` or `MIG-...`."""

    id: str
    name: str
    driver_version: str

    def __str__(self) -> str:
        return f"{self.name} ({self.id})"


def identify(handle: Any, driver_version: str) -> Identity:
    """Raises NVMLError."""
    name, unique = pynvml.nvmlDeviceGetName(handle), pynvml.nvmlDeviceGetUUID(handle)
    return Identity(text(unique), text(name), driver_version)


def memory_of(handle: Any, questions: Questions) -> tuple[int | None, int | None]:
    """Used, and all of it; none where the card shares the machine's memory. Raises NVMLError where it is away."""
    memory = questions.ask("memory", lambda: pynvml.nvmlDeviceGetMemoryInfo(handle))
    return (None, None) if memory is None else (int(memory.used), int(memory.total))


def text(value: str | bytes) -> str:
    """NVML's strings, whichever way the binding gives them."""
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value
