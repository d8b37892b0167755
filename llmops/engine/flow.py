"""One generation between the batch loop and its reader: tokens arrive by callback, the reader waits for them."""

from __future__ import annotations

import asyncio
import dataclasses
from typing import Any

from llmops.engine.errors import EngineError, EngineStopped
from llmops.engine.sampling import Draw


@dataclasses.dataclass(frozen=True, slots=True)
class Arrival:
    """New tokens, when the loop had the last of them (its own clock), and whether they are the last ones."""

    tokens: list[int]
    at: float
    is_last: bool


class Flow:
    """Lives on the event loop. Never longer than the answer: no bound is needed."""

    def __init__(self, key: str, prompt_len: int, draw: Draw) -> None:
        self.key = key
        self.draw = draw
        self.length = prompt_len
        self.failed_alone = False
        self._seen = 0
        self._tokens: list[int] = []
        self._at = 0.0
        self._is_last = False
        self._error: EngineError | None = None
        self._news = asyncio.Event()

    def arrive(self, output: Any) -> None:
        """Takes the new end of the loop's ever longer answer."""
        if output.error is not None:
            self.failed_alone = True  # unless the whole loop died, which its owner finds out
            return
        fresh = output.generated_tokens[self._seen :]
        self._seen += len(fresh)
        self.take(fresh, output.timestamps[-1] if output.timestamps else self._at, output.is_finished())

    def take(self, fresh: list[int], at: float, is_last: bool) -> None:
        """Takes new tokens. at: when the last of them was there."""
        self.length += len(fresh)
        self._tokens += fresh
        self._at = at
        self._is_last = is_last
        self._news.set()

    def fail(self, error: EngineError) -> None:
        self._error = error
        self._news.set()

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
            if self._error is not None:
                self._news.set()
            return Arrival(tokens, self._at, self._is_last)
        raise self._error or EngineStopped("The engine lost this generation.")
