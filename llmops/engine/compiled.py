"""The step of a single stream as one compiled program, over a cache whose size stays the same."""

from __future__ import annotations

from typing import Any

from transformers import CompileConfig, StaticCache

LONGEST = 4096
"""Tokens of the cache unless `max_model_len` says otherwise: each step attends to all of it, used or not."""
WARM_TOKENS = 4
"""The first token is the prompt's own step; the ones behind it run the program, and the first of them compiles it."""
COMPILES_WITHIN_S = 900.0


class CompiledSteps:
    """One cache for all generations, since there is one at a time. Not for models without a cache of keys and values.

    length: tokens of prompt and answer together.
    """

    def __init__(self, model: Any, length: int) -> None:
        self._cache = StaticCache(config=model.config.get_text_config(), max_cache_len=length)
        # CUDA graphs need a stream of their own, which a thread that comes and goes cannot promise.
        self._config = CompileConfig(mode="default", dynamic=False)
        self._config._compile_all_devices = True  # type: ignore[assignment]

    def arguments(self) -> dict[str, Any]:
        """For `generate`, with an empty cache."""
        self._cache.reset()  # type: ignore[no-untyped-call]
        return {"past_key_values": self._cache}

    @property
    def config(self) -> CompileConfig:
        """For the generation's config."""
        return self._config
