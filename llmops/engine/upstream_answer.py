"""One answer of an upstream on its way to the reader: chunks in, pieces out, tokens counted as well as they can be."""

from __future__ import annotations

import time
from collections.abc import Callable

from llmops.engine.contract import FinishReason, Generation, Piece
from llmops.engine.errors import UpstreamFailed
from llmops.engine.stopping import StopMatcher
from llmops.engine.upstream_reading import Chunk
from llmops.engine.upstream_request import stops_here

_UNLIMITED = 1 << 31
"""Where no length was named, the upstream ends the answer."""
_BEYOND = 1_024
"""Chunks after as many tokens as were asked for: a server may cut a token's text in several, but not for ever."""


class Answer:
    """The piece that may be the last one is held back until the upstream has said how the answer ended.

    Each chunk counts as one token until the upstream reports a number; the last piece makes up for the difference.
    """

    def __init__(self, generation: Generation, clock: Callable[[], float] = time.monotonic) -> None:
        self._limit = generation.max_tokens if generation.names_length else _UNLIMITED
        self._matcher = StopMatcher(stops_here(generation))
        self._clock = clock
        self._text: list[str] = []
        self._tokens = 0  # of the held piece
        self._counted = 0  # of the whole answer
        self._beyond = 0
        self._at: float | None = None
        self._seen = Chunk()  # the newest value of each field

    @property
    def is_finished(self) -> bool:
        """The upstream has said why it ended; only the counts may still come."""
        return self._seen.finish_reason is not None

    def take(self, chunk: Chunk) -> Piece | None:
        """The piece that may be shown now; the last one when a stop string came or the upstream knows no end."""
        was_finished = self.is_finished
        self._note(chunk)
        if not was_finished:
            self._count(chunk)
            self._text.append(self._matcher.feed(chunk.text))
        if self._matcher.matched:
            return self._piece("stop")
        if self._beyond > _BEYOND:
            return self._piece("length")
        if self.is_finished or not self._tokens or self._counted >= self._limit:
            return None
        return self._piece()

    def end(self, *, was_told: bool) -> Piece:
        """The last piece. was_told: the upstream closed the stream as it should. Raises UpstreamFailed if not."""
        if not was_told and not self.is_finished:
            raise UpstreamFailed("The upstream broke off in the middle of the answer.")
        self._text.append(self._matcher.flush())
        told = self._seen.output_tokens
        if told is not None and told > self._counted:
            self._tokens += min(told, self._limit) - min(self._counted, self._limit)
        spent = self._counted >= self._limit
        return self._piece(self._seen.finish_reason or ("length" if spent else "stop"))

    def _note(self, chunk: Chunk) -> None:
        seen = self._seen
        self._seen = Chunk(
            finish_reason=chunk.finish_reason or seen.finish_reason,
            input_tokens=seen.input_tokens if chunk.input_tokens is None else chunk.input_tokens,
            output_tokens=seen.output_tokens if chunk.output_tokens is None else chunk.output_tokens,
            cached_tokens=seen.cached_tokens if chunk.cached_tokens is None else chunk.cached_tokens,
        )

    def _count(self, chunk: Chunk) -> None:
        if not chunk.says_token:
            return
        if self._counted >= self._limit:
            self._beyond += 1 + len(chunk.text) // 1_024
            return
        told = chunk.output_tokens
        fresh = 1 if told is None else max(0, min(told, self._limit) - self._counted)
        self._counted += fresh
        self._tokens += fresh
        self._at = self._clock()

    def _piece(self, finish_reason: FinishReason | None = None) -> Piece:
        piece = Piece(
            text="".join(self._text),
            tokens=self._tokens,
            at=self._clock() if self._at is None else self._at,
            finish_reason=finish_reason,
            input_tokens=self._seen.input_tokens,
            cached_tokens=self._seen.cached_tokens,
        )
        self._text, self._tokens = [], 0
        return piece
