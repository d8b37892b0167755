"""What killed the batch loop, in the words of the contract."""

from __future__ import annotations

import torch

from llmops.engine.errors import EngineError, EngineStopped, OutOfMemory

# How allocators without a class of their own say it: CUDA libraries, and torch on a CPU.
_MEMORY_WORDS = ("out of memory", "can't allocate memory", "not enough memory", "CUBLAS_STATUS_ALLOC_FAILED")


def classify(error: Exception | None) -> EngineError:
    """A typed error with one sentence; the same for all that ran when the loop died."""
    if isinstance(error, EngineError):
        return error
    if error is None:
        return EngineStopped("The engine stopped and restarts; ask again.")
    if isinstance(error, (torch.OutOfMemoryError, MemoryError)) or any(word in str(error) for word in _MEMORY_WORDS):
        return OutOfMemory(
            "The device ran out of memory during this generation; the engine restarts with a smaller cache."
        )
    return EngineStopped(f"The engine failed during this generation and restarts; ask again ({type(error).__name__}).")
