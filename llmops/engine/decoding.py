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
        self._shown_text: str | None = ""  # theirs, alone; None: not asked for yet

    def feed(self, token: int) -> str:
        """The characters that this token completes; may be none."""
        self._window.append(token)
        text = self._decode(self._window)
        waiting = len(self._window) - self._shown
        if text.endswith(_REPLACEMENT) and waiting < _LONGEST_WAIT:
            return ""
        fresh = text[len(self._before()) :]
        if fresh or waiting >= _LONGEST_WAIT:
            self._shown_text = None
            del self._window[: self._shown]
            self._shown = len(self._window)
        return fresh

    def flush(self) -> str:
        """The rest at the end of an answer, without the half of a character it may have stopped in."""
        rest = self._decode(self._window)[len(self._before()) :]
        self._window, self._shown, self._shown_text = [], 0, ""
        return rest.rstrip(_REPLACEMENT)

    def _before(self) -> str:
        if self._shown_text is None:
            self._shown_text = self._decode(self._window[: self._shown])
        return self._shown_text
