"""From what a request asks to how its tokens are drawn; the model's own defaults fill the gaps."""

from __future__ import annotations

import dataclasses
import random
from typing import Any

from llmops.engine.contract import Sampling
from llmops.engine.errors import UnsupportedSampling

_MASK64 = (1 << 64) - 1


@dataclasses.dataclass(slots=True, eq=False)
class Draw:
    """How one generation draws its tokens, and what the batch loop noticed while it did.

    temperature 0 is greedy; top_k 0 and top_p 1 are off. number: this generation's own within its batch loop, 1 or
    more. The loop's thread writes the last three; batch_size is None until a forward pass takes the generation up.
    waited_s: before its first token, in the engine, while it read other prompts or wrote other answers.
    """

    temperature: float
    top_k: int
    top_p: float
    seed: int
    number: int = 0
    cached_tokens: int | None = None
    batch_size: int | None = None
    waited_s: float | None = None

    def __deepcopy__(self, memo: dict[int, Any]) -> Draw:
        """The loop copies its arguments when it sets a generation back; what it notices must still reach us."""
        return self

    def key(self, position: int) -> int:
        """32 signed bits of chance for the token at `position`: from the seed alone, whatever shares the batch."""
        bits = (self.seed * 0x9E3779B97F4A7C15 + position * 0xD1B54A32D192ED03) & _MASK64
        bits = ((bits ^ (bits >> 30)) * 0xBF58476D1CE4E5B9) & _MASK64  # the finaliser of splitmix64
        bits = ((bits ^ (bits >> 27)) * 0x94D049BB133111EB) & _MASK64
        return ((bits ^ (bits >> 31)) & 0xFFFFFFFF) - (1 << 31)


def resolve(asked: Sampling, default: Sampling, rng: random.Random) -> Draw:
    """Raises UnsupportedSampling where a dial is out of range. Without a seed, `rng` gives one."""
    temperature = _first(asked.temperature, default.temperature, 1.0)
    top_p = _first(asked.top_p, default.top_p, 1.0)
    top_k = _first(asked.top_k, default.top_k, 0)
    if not 0 <= temperature <= 2:
        raise UnsupportedSampling(f"temperature must be between 0 and 2, not {temperature}.")
    if not 0 < top_p <= 1:
        raise UnsupportedSampling(f"top_p must be above 0 and at most 1, not {top_p}.")
    if asked.top_k is not None and not 1 <= asked.top_k < 1 << 31:
        raise UnsupportedSampling(f"top_k must be at least 1, not {asked.top_k}.")
    seed = rng.getrandbits(64) if asked.seed is None else asked.seed & _MASK64
    return Draw(temperature=float(temperature), top_k=int(top_k), top_p=float(top_p), seed=seed)


def model_default(generation_config: Any) -> Sampling:
    """What the model's generation_config.json says; explicit `do_sample: false` is greedy."""
    if generation_config.do_sample is False:
        return Sampling(temperature=0.0)
    return Sampling(
        temperature=generation_config.temperature,
        top_p=generation_config.top_p,
        top_k=generation_config.top_k,
    )


def _first(asked: float | None, default: float | None, neutral: float) -> float:
    if asked is not None:
        return asked
    return neutral if default is None else default
