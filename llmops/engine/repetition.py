"""How much an answer repeats itself: the sign of a model that is stuck in a loop."""

from __future__ import annotations

import re

_N = 4
_LAST_UNITS = 2_000
_UNITS = re.compile(r"[\u3400-\u9fff]|\w+")
"""A Chinese character or a word of anything else: text with and without spaces is measured alike."""


def repetition_ratio(text: str) -> float | None:
    """Share of 4-grams that occurred before, 0..1, over the last 2,000 words; None for an answer too short to say."""
    units = _UNITS.findall(text)[-_LAST_UNITS:]
    grams = len(units) - _N + 1
    if grams < _N:
        return None
    return 1.0 - len({tuple(units[i : i + _N]) for i in range(grams)}) / grams
