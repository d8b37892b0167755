"""What kept the engine from starting or killed its batch loop, in the words of the contract."""

from __future__ import annotations

import torch

from llmops.engine.errors import EngineError, EngineStopped, ModelNotLoaded, OutOfMemory
from llmops.engine.loading import first_line

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


def unservable(name: str, error: Exception) -> ModelNotLoaded:
    """What the user reads when a first start failed."""
    if isinstance(error, ModelNotLoaded):
        return error
    if isinstance(classify(error), OutOfMemory):
        return ModelNotLoaded(
            f"{name!r} leaves too little memory to answer: quantise it (nf4, int8), lower kv_cache_bytes "
            "or take a smaller one."
        )
    why = first_line(error).rstrip(".")
    if not isinstance(error, EngineError):
        why = f"{type(error).__name__}: {why}"
    return ModelNotLoaded(
        f"{name!r} can't be served ({why}): take another model, such as Qwen/Qwen2.5-0.5B-Instruct, "
        "or read in the log what failed."
    )
