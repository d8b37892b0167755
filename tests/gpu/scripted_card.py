"""What the NVML binding would answer for RTX 4090s, for machines without one."""

from __future__ import annotations

from collections.abc import Callable, Collection
from types import SimpleNamespace
from typing import Any

import pynvml
import pytest


def script_cards(monkeypatch: pytest.MonkeyPatch, *, count: int = 1, hidden: Collection[str] = ()) -> None:
    """Card n has 20 - n GiB free of 24; `hidden` names what the card does not tell."""
    answers: dict[str, Callable[..., Any]] = {
        "nvmlInit": lambda: None,
        "nvmlShutdown": lambda: None,
        "nvmlDeviceGetCount": lambda: count,
        "nvmlDeviceGetHandleByIndex": lambda index: index,
        "nvmlDeviceGetName": lambda _: "NVIDIA GeForce RTX 4090",
        "nvmlDeviceGetMemoryInfo": lambda index: SimpleNamespace(total=24 << 30, free=(20 - index) << 30),
        "nvmlDeviceGetMemoryBusWidth": lambda _: 384,
        "nvmlDeviceGetMaxClockInfo": lambda *_: 10_501,
        "nvmlDeviceGetMaxPcieLinkWidth": lambda _: 16,
        "nvmlDeviceGetMaxPcieLinkGeneration": lambda _: 4,
    }
    for name, answer in answers.items():
        is_hidden = name.removeprefix("nvmlDeviceGet") in hidden
        monkeypatch.setattr(pynvml, name, _not_supported if is_hidden else answer)


def _not_supported(*_: Any) -> Any:
    raise pynvml.NVMLError(pynvml.NVML_ERROR_NOT_SUPPORTED)
