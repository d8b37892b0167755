"""One answer being spoken: tokens in, text that may be shown out, and why it ended."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence

from llmops.engine.contract import FinishReason
from llmops.engine.decoding import TextStream
from llmops.engine.stopping import StopMatcher


@dataclasses.dataclass(frozen=True, slots=True)
class Spoken:
    text: str
    tokens: int
    finish_reason: FinishReason | None


class Speech:
    """Ends at a stop string, at an end-of-sequence token (not shown), or with the last token."""

    def __init__(self, decode: Callable[[Sequence[int]], str], stop: Sequence[str], eos_ids: frozenset[int]) -> None:
        self._text = TextStream(decode)
        self._matcher = StopMatcher(stop)
        self._eos_ids = eos_ids

    def say(self, tokens: Sequence[int], *, is_last: bool) -> Spoken:
        """Tokens behind a stop string are not counted: nobody asked for them."""
        shown = ""
        for count, token in enumerate(tokens, start=1):
            if is_last and count == len(tokens) and token in self._eos_ids:
                return self._end(shown, count, "stop")
            shown += self._matcher.feed(self._text.feed(token))
            if self._matcher.matched:
                return Spoken(shown, count, "stop")
        return self._end(shown, len(tokens), "length") if is_last else Spoken(shown, len(tokens), None)

    def _end(self, shown: str, count: int, reason: FinishReason) -> Spoken:
        shown += self._matcher.feed(self._text.flush())
        if self._matcher.matched:
            return Spoken(shown, count, "stop")
        return Spoken(shown + self._matcher.flush(), count, reason)
