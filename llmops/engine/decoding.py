"""Tokens into text, one at a time: characters are complete or not shown yet."""

from __future__ import annotations

from collections.abc import Callable, Sequence

_REPLACEMENT = "\ufffd"
# A UTF-8 character has at most 4 bytes, so 8 tokens that still end badly are not the start of one.
_LONGEST_WAIT = 8


class TextStream:
    """Decodes a growing answer by its tail only: the cost of a token doesn't grow with the answer."""

    def __init__(self, decode: Callable[[Sequence[int]], str]) -> None:
        self._decode = decode
        self._window: list[int] = []  # the tokens shown last, for context, then those not shown yet
        self._shown = 0  # how many of the window are shown

    def feed(self, token: int) -> str:
        """The characters that this token completes; may be none."""
        self._window.append(token)
        text = self._decode(self._window)
        waiting = len(self._window) - self._shown
        if text.endswith(_REPLACEMENT) and waiting < _LONGEST_WAIT:
            return ""
        fresh = text[len(self._decode(self._window[: self._shown])) :]
        if fresh or waiting >= _LONGEST_WAIT:
            del self._window[: self._shown]
            self._shown = len(self._window)
        return fresh

    def flush(self) -> str:
        """The rest at the end of an answer, without the half of a character it may have stopped in."""
        rest = self._decode(self._window)[len(self._decode(self._window[: self._shown])) :]
        self._window, self._shown = [], 0
        return rest.rstrip(_REPLACEMENT)
