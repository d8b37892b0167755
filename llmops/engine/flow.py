"""One generation between the batch loop and its reader: tokens arrive by callback, the reader waits for them."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, NamedTuple

from llmops.engine.errors import EngineError, EngineStopped
from llmops.engine.sampling import Draw


class Arrival(NamedTuple):
    """New tokens, when the loop had each of them and the last (its own clock), and whether they are the last ones."""

    tokens: list[int]
    times: list[float]
    at: float
    is_last: bool


class Flow:
    """Lives on the event loop. Never longer than the answer: no bound is needed."""

    def __init__(self, key: str, prompt: Sequence[int], max_tokens: int, draw: Draw) -> None:
        self.key = key
        self.prompt = prompt
        self.max_tokens = max_tokens
        self.may_shorten = False  # its request named no length
        self.draw = draw
        self.length = len(prompt)
        self.failed_alone = False
        self.was_resubmitted = False
        self._seen = 0
        self._tokens: list[int] = []
        self._times: list[float] = []
        self._at = 0.0
        self._is_last = False
        self._error: EngineError | None = None
        self._news = asyncio.Event()

    def fits(self, max_model_len: int) -> bool:
        """Whether prompt and answer fit; an answer of no named length is shortened for it."""
        if self.may_shorten:
            self.max_tokens = max(1, min(self.max_tokens, max_model_len - len(self.prompt)))
        return len(self.prompt) + self.max_tokens <= max_model_len

    def arrive(self, output: Any) -> None:
        """Takes the new end of the loop's ever longer answer."""
        if output.error is not None:
            self.failed_alone = True  # unless the whole loop died, which its owner finds out
            return
        fresh = output.generated_tokens[self._seen :]
        self._seen += len(fresh)
        self.take(fresh, output.timestamps or (), output.is_finished())

    def take(self, fresh: list[int], timestamps: Sequence[float], is_last: bool) -> None:
        """Takes new tokens. timestamps: of the answer so far, the newest last; fewer than there are tokens will do."""
        self.length += len(fresh)
        self._tokens += fresh
        self._note_times(timestamps, len(fresh))
        self._is_last = is_last
        self._news.set()

    def fail(self, error: EngineError) -> None:
        self._error = error
        self._news.set()

    @property
    def has_begun(self) -> bool:
        """A forward pass took it up: it has a share in what the batch loop died of."""
        return self._seen > 0 or self.draw.batch_size is not None

    @property
    def is_delivered(self) -> bool:
        """The loop has nothing more for it."""
        return self._is_last

    async def next(self) -> Arrival:
        """What has come since the last call, at least one token. Raises EngineError; tokens before it come first."""
        await self._news.wait()
        self._news.clear()
        if self._tokens or self._is_last:
            tokens, self._tokens = self._tokens, []
            times, self._times = self._times, []
            if self._error is not None:
                self._news.set()
            return Arrival(tokens, times, self._at, self._is_last)
        raise self._error or EngineStopped("The engine lost this generation.")

    def _note_times(self, timestamps: Sequence[float], count: int) -> None:
        """A generation that the loop set back for want of memory has lost the times of its earlier tokens."""
        if count == 0:
            return
        fresh = list(timestamps[-count:])
        self._at = fresh[-1] if fresh else self._at
        self._times += fresh + [self._at] * (count - len(fresh))
