"""Questions to a card: what it does not know is asked once, and a card or driver that is away is told apart."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import pynvml

from llmops.gpu.contract import SamplerUnavailable

_T = TypeVar("_T")
_NEVER = frozenset(
    {
        pynvml.NVML_ERROR_NOT_SUPPORTED,
        pynvml.NVML_ERROR_NO_PERMISSION,
        pynvml.NVML_ERROR_FUNCTION_NOT_FOUND,
        pynvml.NVML_ERROR_INVALID_ARGUMENT,
        pynvml.NVML_ERROR_ARGUMENT_VERSION_MISMATCH,
        pynvml.NVML_ERROR_DEPRECATED,
        pynvml.NVML_ERROR_VGPU_ECC_NOT_SUPPORTED,
    }
)
DRIVER_GONE = frozenset(
    {
        pynvml.NVML_ERROR_UNINITIALIZED,
        pynvml.NVML_ERROR_DRIVER_NOT_LOADED,
        pynvml.NVML_ERROR_LIB_RM_VERSION_MISMATCH,
    }
)
"""Every handle is stale. A mismatch is a driver that was updated under us."""
CARD_GONE = frozenset(
    {
        pynvml.NVML_ERROR_GPU_IS_LOST,
        pynvml.NVML_ERROR_GPU_NOT_FOUND,
        pynvml.NVML_ERROR_RESET_REQUIRED,
    }
)
"""This handle is stale: the card fell off the bus, was unplugged, or waits for a reset."""


def no_driver(error: pynvml.NVMLError) -> SamplerUnavailable:
    """To be raised where there is no NVML to ask."""
    return SamplerUnavailable(
        f"NVML does not answer ({error}): is the NVIDIA driver installed?", str(error), error.value
    )


class Questions:
    """Remembers, for one handle, which of several ways to learn a number works; none: never asked again."""

    def __init__(self) -> None:
        self._begin: dict[str, int] = {}
        self.answered = False
        """Whether one has had an answer since this was last set to False."""

    def ask(self, what: str, *ways: Callable[[], _T]) -> _T | None:
        """The answer of the first way that the card knows; None where there is none, and None this time at a passing
        error. Raises NVMLError where the card or the driver is away."""
        for number in range(self._begin.get(what, 0), len(ways)):
            try:
                answer = ways[number]()
            except pynvml.NVMLError as error:
                if error.value in DRIVER_GONE or error.value in CARD_GONE:
                    raise
                if error.value not in _NEVER:
                    return None
                self._begin[what] = number + 1
            else:
                self.answered = True
                return answer
        return None

    def lacks(self, what: str) -> bool:
        """Whether the first way to learn it does not work here."""
        return what in self._begin
