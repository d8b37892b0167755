"""Bends a question the way people type: case, punctuation, typos, polite words; the meaning stays."""

from __future__ import annotations

import random
import re

from training.questions import read_wording

_WORDING = read_wording()


def _pattern(wording: str, lang: str) -> re.Pattern[str]:
    """Finds the wording; `{}` takes a few words. English is matched at word boundaries, in any case."""
    body = r"([^?？，,。]+?)".join(re.escape(part) for part in wording.split("{}"))
    if wording.endswith("{}"):
        body = body.removesuffix("+?)") + "+)"
    return re.compile(rf"\b{body}\b", re.IGNORECASE) if lang == "en" else re.compile(body)


_SWAPS = {
    lang: [[(wording, _pattern(wording, lang)) for wording in row] for row in rows]
    for lang, rows in _WORDING["swaps"].items()
}


def bend(question: str, lang: str, exact: bool, rng: random.Random) -> str:
    """The same question as another hand would type it. `exact` keeps letters as they are."""
    text = question
    if rng.random() < 0.5:
        text = _swap(text, lang, rng)
    if not exact and rng.random() < 0.35:
        text = _misspell(text, rng) if lang == "en" else _drop_character(text, rng)
    if lang == "en" and not exact:
        text = _recase(_drop_small_words(text, rng), rng)
    if rng.random() < 0.35:
        text = text.rstrip("?？.。!！ ") + rng.choice(_WORDING["endings"][lang])
    if rng.random() < 0.25:
        text = _open(text, lang, rng)
    return text


def _swap(text: str, lang: str, rng: random.Random) -> str:
    """One wording for another that stands for it, such as `how can I` for `how do I`."""
    rows = [(row, found) for row in _SWAPS[lang] for _, pattern in row if (found := pattern.search(text))]
    if not rows:
        return text
    row, found = rng.choice(rows)
    start, end = found.span()
    other = rng.choice(row)[0]
    if other.count("{}") != len(found.groups()):
        return text
    filled: str = other.format(*found.groups())
    return text[:start] + filled + text[end:]


def _open(text: str, lang: str, rng: random.Random) -> str:
    opening: str = rng.choice(_WORDING["openings"][lang])
    if lang == "en" and rng.random() < 0.5:
        opening = opening[0].upper() + opening[1:]
    return opening + text


def _recase(text: str, rng: random.Random) -> str:
    chance = rng.random()
    if chance < 0.30:
        return text.lower()
    if chance < 0.55:
        return text[:1].upper() + text[1:]
    return text.upper() if chance < 0.58 else text


def _drop_small_words(text: str, rng: random.Random) -> str:
    words = text.split(" ")
    if len(words) < 4:
        return text
    return " ".join(word for word in words if word.lower() not in _WORDING["droppable"]["en"] or rng.random() > 0.08)


def _misspell(text: str, rng: random.Random) -> str:
    words = text.split(" ")
    long_ones = [index for index, word in enumerate(words) if len(word) > 3 and word.isalpha()]
    for index in rng.sample(long_ones, min(len(long_ones), rng.choice((1, 1, 2)))):
        word = words[index]
        at = rng.randrange(1, len(word) - 1)
        words[index] = rng.choice(
            (
                word[:at] + word[at + 1 :],
                word[:at] + word[at] + word[at:],
                word[:at] + word[at + 1] + word[at] + word[at + 2 :],
            )
        )
    return " ".join(words)


def _drop_character(text: str, rng: random.Random) -> str:
    """Drops one of the small words that Chinese questions can do without."""
    small = [index for index, character in enumerate(text) if character in _WORDING["droppable"]["zh"]]
    if not small or len(text) < 5:
        return text
    at = rng.choice(small)
    return text[:at] + text[at + 1 :]
