"""From what a request asks to how its tokens are drawn; the model's own defaults fill the gaps."""

from __future__ import annotations

import dataclasses
import logging
import random
from typing import Any

from llmops.engine.contract import Sampling
from llmops.engine.errors import UnsupportedSampling

_log = logging.getLogger(__name__)

_MASK64 = (1 << 64) - 1
MODERATE = Sampling(temperature=0.7, top_p=0.95)
"""For a model whose makers recommend nothing: at the library's temperature of 1 a small model loses the thread."""


@dataclasses.dataclass(slots=True, eq=False)
class Draw:
    """How one generation draws its tokens, and what the batch loop noticed while it did.

    temperature 0 is greedy; top_k 0 and top_p 1 are off. number: this generation's own within its batch loop, 1 or
    more. The loop's thread writes the last three; batch_size is None until a forward pass takes the generation up.
    waited_s: before its first token, in the engine, while it read other prompts or wrote other answers.
    ends_from: the first position, in tokens of prompt and answer, at which the model may end the answer.
    """

    temperature: float
    top_k: int
    top_p: float
    seed: int
    ends_from: int = 0
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
    if asked.top_k is not None and not 0 <= asked.top_k < 1 << 31:
        raise UnsupportedSampling(f"top_k must be at least 1, or 0 for off, not {asked.top_k}.")
    seed = rng.getrandbits(64) if asked.seed is None else asked.seed & _MASK64
    return Draw(temperature=float(temperature), top_k=int(top_k), top_p=float(top_p), seed=seed)


def model_default(generation_config: Any) -> Sampling:
    """What the model's generation_config.json says; explicit `do_sample: false` is greedy, empty is nothing said.

    `do_sample: true` alone means the library's temperature of 1.
    """
    if generation_config.do_sample is False:
        return Sampling(temperature=0.0)
    found = Sampling(
        temperature=_within(generation_config.temperature, "temperature", 0, 2),
        top_p=_within(generation_config.top_p, "top_p", 1e-9, 1),
        top_k=_within(generation_config.top_k or None, "top_k", 1, (1 << 31) - 1),
    )
    return Sampling(temperature=1.0) if found == Sampling() and generation_config.do_sample else found


def served_default(name: str, chosen: Sampling, own: Sampling) -> Sampling:
    """The operator's values over the model's, with no gap but top_k; one log line says which they are.

    chosen: its top_k may be 0, which turns the model's off.
    """
    names_none = own == Sampling()
    filled = chosen.over(MODERATE if names_none else own).over(Sampling(temperature=1.0, top_p=1.0))
    served = dataclasses.replace(filled, top_k=filled.top_k or None)
    whose = "of the settings" if chosen != Sampling() else "of the model"
    if names_none and None in (chosen.temperature, chosen.top_p):
        whose = "because its generation_config names none; engine.temperature and engine.top_p set others"
    _log.info("sampling defaults of %s: %s (%s)", name, in_words(served), whose)
    return served


def in_words(sampling: Sampling) -> str:
    """As in "temperature 0.7, top_p 0.95, top_k off"."""
    top_k = "off" if sampling.top_k is None else sampling.top_k
    return f"temperature {sampling.temperature:g}, top_p {sampling.top_p:g}, top_k {top_k}"


def _within(value: Any, name: str, least: float, most: float) -> Any:
    if value is None or (isinstance(value, float | int) and least <= value <= most):
        return value
    _log.warning("the model's generation_config has %s %r, which is out of range: ignored", name, value)
    return None


def _first(asked: float | None, default: float | None, neutral: float) -> float:
    if asked is not None:
        return asked
    return neutral if default is None else default
