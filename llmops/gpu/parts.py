"""MIG: a card that is divided; its parts come and go while it runs, and NVML tells of each its memory alone."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pynvml

from llmops.gpu.asking import CARD_GONE, DRIVER_GONE, Questions
from llmops.gpu.identity import Identity, identify


class Parts:
    """The parts that a card has now."""

    def __init__(self, handle: Any, driver_version: str, questions: Questions) -> None:
        self._handle = handle
        self._driver_version = driver_version
        self._questions = questions

    def found(self) -> Iterator[tuple[Any, Identity]]:
        """Handle and name of each; none where it is not divided. Raises NVMLError where card or driver are away."""
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
