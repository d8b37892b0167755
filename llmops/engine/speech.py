"""One answer being spoken: tokens in, text that may be shown out, and why it ended."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence

from llmops.engine.contract import FinishReason, StoppedBy
from llmops.engine.decoding import TextStream
from llmops.engine.looping import LoopDetector
from llmops.engine.stopping import StopMatcher


@dataclasses.dataclass(frozen=True, slots=True)
class Spoken:
    text: str
    tokens: int
    finish_reason: FinishReason | None
    stopped_by: StoppedBy | None = None


class Speech:
    """Ends at a stop string, at a stop or end token (not shown), in a loop if it should, or with the last token.

    min_tokens: before so many, neither a stop string nor a stop token nor a loop ends it.
    """

    def __init__(
        self,
        decode: Callable[[Sequence[int]], str],
        stop: Sequence[str],
        eos_ids: frozenset[int],
        *,
        stop_loops: bool = False,
        stop_token_ids: Sequence[int] = (),
        min_tokens: int = 0,
    ) -> None:
        self._stop_ids = frozenset(stop_token_ids)
        self._unstopped = min_tokens
        self._text = TextStream(decode)
        self._matcher = StopMatcher(stop)
        self._eos_ids = eos_ids
        self._loops = LoopDetector()
        self._stop_loops = stop_loops

    @property
    def loop_detected(self) -> bool:
        return self._loops.found

    def say(self, tokens: Sequence[int], *, is_last: bool) -> Spoken:
        """Tokens behind a stop string are not counted: nobody asked for them."""
        shown = ""
        for count, token in enumerate(tokens, start=1):
            if is_last and count == len(tokens) and token in self._eos_ids:
                return self._end(shown, count, "stop", "eos")
            if self._unstopped > 0:
                self._unstopped -= 1
                shown += self._text.feed(token)
                self._loops.feed(token)
                continue
            if token in self._stop_ids:
                return self._end(shown, count, "stop", "stop_token")
            shown += self._matcher.feed(self._text.feed(token))
            if self._matcher.matched:
                return Spoken(shown, count, "stop", "stop_string")
            if self._loops.feed(token) and self._stop_loops:
                return self._end(shown, count, "stop", "loop")
        return self._end(shown, len(tokens), "length") if is_last else Spoken(shown, len(tokens), None)

    def _end(self, shown: str, count: int, reason: FinishReason, by: StoppedBy | None = None) -> Spoken:
        shown += self._matcher.feed(self._text.flush())
        if self._matcher.matched:
            return Spoken(shown, count, "stop", "stop_string")
        return Spoken(shown + self._matcher.flush(), count, reason, by)
