"""Is an answer stuck in a loop: decided on token ids while they come, at a few operations a token.

Two signs, either is enough. The same 1..64 tokens again and again, exactly, over at least 192 tokens and four rounds.
Or nearly every run of 32 tokens among the last 384 was said before: a loop of any longer length, such as a paragraph.
What people ask for stays below both: tables, code, lists, numbers, where cells and names differ from row to row.
"""

from __future__ import annotations

import collections

_LONGEST = 64
_SPAN = 192
_ROUNDS = 4
_MASK = (1 << _LONGEST) - 1

_GRAM = 32
_WINDOW = 384
_SHARE = 0.97
_BASE, _PRIME = 1_000_003, (1 << 61) - 1
_OLDEST = pow(_BASE, _GRAM, _PRIME)


class LoopDetector:
    """Feed it each token; `found` stays true from the token that made it so. Keeps about 100 bytes a token."""

    def __init__(self) -> None:
        self.found = False
        self._count = 0
        # Exact repetition. Bit p - 1 of a set stands for the period p.
        self._last: dict[int, tuple[int, int]] = {}  # token -> (where it was last, its places before that as bits)
        self._periods = 0
        self._since = [0] * _LONGEST
        # Longer repetition.
        self._recent: collections.deque[int] = collections.deque(maxlen=_GRAM)
        self._hash = 0
        self._grams: set[int] = set()
        self._known: collections.deque[bool] = collections.deque(maxlen=_WINDOW)
        self._known_count = 0

    def feed(self, token: int) -> bool:
        """Whether the answer, with this token, is in a loop."""
        if not self.found:
            self.found = self._repeats_exactly(token) or self._says_it_again(token)
            self._count += 1
        return self.found

    def _repeats_exactly(self, token: int) -> bool:
        """Keeps the periods at which all tokens up to this one equal the token one period before them."""
        at = self._count
        before, places = self._last.get(token, (at - _LONGEST - 1, 0))
        distance = at - before
        equal = ((places << distance) | (1 << (distance - 1))) & _MASK if distance <= _LONGEST else 0
        self._last[token] = (at, equal)
        lasting = equal & self._periods
        starting = equal & ~self._periods
        self._periods = equal
        while starting:
            bit = starting & -starting
            self._since[bit.bit_length() - 1] = at
            starting ^= bit
        while lasting:
            period = (lasting & -lasting).bit_length()
            if at - self._since[period - 1] + 1 >= max(_SPAN, _ROUNDS * period) - period:
                return True
            lasting &= lasting - 1
        return False

    def _says_it_again(self, token: int) -> bool:
        """A rolling hash of the last 32 tokens: how many of the last 384 such runs had been there before."""
        oldest = self._recent[0] if len(self._recent) == _GRAM else 0
        self._recent.append(token + 1)
        self._hash = (self._hash * _BASE + token + 1 - oldest * _OLDEST) % _PRIME
        if len(self._recent) < _GRAM:
            return False
        known = self._hash in self._grams
        self._grams.add(self._hash)
        if len(self._known) == _WINDOW:
            self._known_count -= self._known[0]
        self._known.append(known)
        self._known_count += known
        return self._known_count >= _SHARE * _WINDOW
