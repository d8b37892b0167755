"""How much an answer repeats itself: the sign of a model that is stuck in a loop."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

_N = 4
_LAST_UNITS = 2_000
_LAST_CHARACTERS = 16_000
_SHINGLE = 7
"""Letters that follow each other without a space; four shingles in a row are ten letters, about two words."""
_LONGEST_WORD = 40
_LONGEST: Mapping[str | None, int] = {"unspaced": 0, "emoji": 10}
"""What is longer without a space is not one unit; a rating of five stars is."""
_LEAST_GAP, _GAP_SHARE = 32, 0.5

_WORD = (
    r"0-9A-Za-z_\u00c0-\u0dff\u0f00-\u0fff\u10a0-\u177f\u1800-\u1fff\u2c00-\u2dff"
    r"\u30a0-\u31ff\ua4d0-\ud7ff\ufb00-\ufdff\ufe70-\uffdc\U00010000-\U0001efff"
)
_EMOJI = "[\u231a-\u23ff\u25aa-\u25fe\u2600-\u27bf\u2b00-\u2bff\U0001f000-\U0001faff]"
_UNITS = re.compile(
    rf"""
      [0-9#*]\uFE0F?\u20E3                                                  # a keycap
    | [{_WORD}]+
    | (?P<characters>[\u3040-\u309f\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]+)      # Hiragana and Han
    | (?P<unspaced>[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff]+)               # Thai, Lao, Burmese, Khmer
    | (?P<emoji>(?:{_EMOJI}(?:[\ufe0f\u20e3\U0001f3fb-\U0001f3ff\U000e0020-\U000e007f]|\u200d{_EMOJI})*)+)
    """,
    re.VERBOSE,
)
"""By blocks of Unicode, so that the marks of a script belong to its words."""


def repetition_ratio(text: str) -> float | None:
    """Share of 4-grams that occurred before, 0..1, over the last 2,000 units; None for an answer too short to say.

    A unit is a word, a character of a script without spaces, or emoji beside each other. Punctuation counts only where
    it is most of the answer without a word in between, as in `!!!!!!`: in tables, code and JSON it repeats by itself.
    """
    units = list(_units(text[-_LAST_CHARACTERS:]))[-_LAST_UNITS:]
    grams = len(units) - _N + 1
    if grams < _N:
        return None
    return 1.0 - len(set(zip(*(units[start:] for start in range(_N)), strict=False))) / grams


def _units(text: str) -> Iterator[str]:
    least = max(_LEAST_GAP, _GAP_SHARE * len(text))
    end = 0
    for found in _UNITS.finditer(text):
        start, before = found.start(), end
        end = found.end()
        if start - before >= least:
            yield from _shingles(text[before:start])
        if found.lastgroup == "characters":
            yield from found.group()
        elif end - start > _LONGEST.get(found.lastgroup, _LONGEST_WORD):
            yield from _shingles(found.group())
        else:
            yield found.group()
    if len(text) - end >= least:
        yield from _shingles(text[end:])


def _shingles(letters: str) -> Iterator[str]:
    for start in range(max(1, len(letters) - _SHINGLE + 1)):
        yield letters[start : start + _SHINGLE]
