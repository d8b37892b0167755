"""MIG: a card that is divided; its parts come and go while it runs, and NVML tells of each its memory alone."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from typing import Any

import pynvml

from llmops.events import SampleEvent
from llmops.gpu.asking import CARD_GONE, DRIVER_GONE, Questions
from llmops.gpu.identity import Identity, identify, memory_of


class Parts:
    """The parts that a card has now."""

    def __init__(self, handle: Any, driver_version: str, questions: Questions) -> None:
        self._handle = handle
        self._driver_version = driver_version
        self._questions = questions

    def samples(self, now: float) -> Sequence[SampleEvent]:
        """One for each. Raises NVMLError where card or driver are away."""
        return [_sample(now, handle, identity) for handle, identity in self.found()]

    def found(self) -> Iterator[tuple[Any, Identity]]:
        """Handle and name of each; none where the card is not divided."""
        mode = self._questions.ask("mig", lambda: pynvml.nvmlDeviceGetMigMode(self._handle))
        if mode is None or mode[0] != pynvml.NVML_DEVICE_MIG_ENABLE:
            return
        most = self._questions.ask("parts", lambda: int(pynvml.nvmlDeviceGetMaxMigDeviceCount(self._handle))) or 0
        for number in range(most):
            try:
                handle = pynvml.nvmlDeviceGetMigDeviceHandleByIndex(self._handle, number)
                yield handle, identify(handle, self._driver_version)
            except pynvml.NVMLError as error:  # the card could hold one more part
                if error.value in DRIVER_GONE or error.value in CARD_GONE:
                    raise


def _sample(now: float, handle: Any, identity: Identity) -> SampleEvent:
    used, total = memory_of(handle, Questions())
    return dataclasses.replace(
        identity.sample(now),
        memory_used_bytes=used,
        memory_limit_bytes=total,
        memory_utilization=used / total if used is not None and total else None,
    )
