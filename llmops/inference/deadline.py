"""One deadline for many waits: a timer for the whole answer, where `asyncio.timeout_at` sets one for every token."""

from __future__ import annotations

import asyncio
from types import TracebackType


class Deadline:
    """`with deadline:` around each wait raises TimeoutError once it has passed; between the waits nothing is ended.

    at: of the running loop's clock, in seconds. Waits follow each other and may be of different tasks. `close` it.
    """

    def __init__(self, at: float) -> None:
        self._timer = asyncio.get_running_loop().call_at(at, self._pass)
        self._passed = False
        self._waiting: asyncio.Task[object] | None = None
        self._ended: asyncio.Task[object] | None = None
        self._cancelling = 0

    def __enter__(self) -> None:
        if self._passed:
            raise TimeoutError
        self._waiting = task = asyncio.current_task()
        self._cancelling = 0 if task is None else task.cancelling()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._waiting = None
        ended, self._ended = self._ended, None
        if ended is not None and ended.uncancel() <= self._cancelling and kind is asyncio.CancelledError:
            raise TimeoutError from error  # nobody else has cancelled it

    def close(self) -> None:
        """It passes no more. Idempotent."""
        self._timer.cancel()

    def _pass(self) -> None:
        self._passed = True
        if self._waiting is not None:
            self._ended = self._waiting
            self._ended.cancel()
