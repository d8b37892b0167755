"""How much goes over PCIe: from a card's counters, or, where it has none, from what NVML measures for 20 ms."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pynvml

from llmops.gpu.asking import Questions

_FIELDS = (pynvml.NVML_FI_DEV_PCIE_COUNT_TX_BYTES, pynvml.NVML_FI_DEV_PCIE_COUNT_RX_BYTES)
_KILOBYTE = 1000.0


class PcieRates:
    """Bytes a second of one card, sent and received by it."""

    def __init__(self, handle: Any, questions: Questions) -> None:
        self._handle = handle
        self._questions = questions
        self._before: tuple[float, Sequence[int]] | None = None

    def rates(self, now: float) -> tuple[float | None, float | None]:
        """Since the last look; None at the first one, after a counter began anew, and where neither way is known."""
        if not self._questions.lacks("pcie counters"):
            counts = self._questions.ask("pcie counters", self._counts)
            if not self._questions.lacks("pcie counters"):
                return self._since(now, counts)
        return self._measured(pynvml.NVML_PCIE_UTIL_TX_BYTES), self._measured(pynvml.NVML_PCIE_UTIL_RX_BYTES)

    def _counts(self) -> Sequence[int]:
        values = pynvml.nvmlDeviceGetFieldValues(self._handle, list(_FIELDS))
        for value in values:
            if value.nvmlReturn != pynvml.NVML_SUCCESS:
                raise pynvml.NVMLError(value.nvmlReturn)
        return [_number(value) for value in values]

    def _since(self, now: float, counts: Sequence[int] | None) -> tuple[float | None, float | None]:
        before, self._before = self._before, None if counts is None else (now, counts)
        if before is None or counts is None or now <= before[0]:
            return None, None
        tx, rx = (
            (count - earlier) / (now - before[0]) if count >= earlier else None
            for count, earlier in zip(counts, before[1], strict=True)
        )
        return tx, rx

    def _measured(self, counter: int) -> float | None:
        kilobytes = self._questions.ask(
            f"pcie {counter}", lambda: int(pynvml.nvmlDeviceGetPcieThroughput(self._handle, counter))
        )
        return None if kilobytes is None else kilobytes * _KILOBYTE


def _number(value: Any) -> int:
    return int(value.value.uiVal if value.valueType == pynvml.NVML_VALUE_TYPE_UNSIGNED_INT else value.value.ullVal)
