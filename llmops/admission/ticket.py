"""The right to run, now or in turn, and what is known of whoever holds it."""

from __future__ import annotations

import asyncio
import enum
from typing import Protocol


class Priority(enum.IntEnum):
    """Whose turn comes first: people, then what is done for them meanwhile, then what only measures."""

    INTERACTIVE = 0
    SUMMARY = 1
    BENCHMARK = 2

    @property
    def word(self) -> str:
        """As header and record spell it."""
        return _WORDS[self]


_WORDS = {priority: priority.name.lower() for priority in Priority}


class Keeper(Protocol):
    """Who gave the ticket and takes it back: the gate."""

    def resize(self, ticket: Ticket, tokens: int) -> None:
        """The request's true size is known."""

    def release(self, ticket: Ticket, used_tokens: int) -> None:
        """The request is over."""


class Ticket:
    """Whoever holds one must `leave` it. `tokens`: of prompt and answer together, at most."""

    __slots__ = (
        "_keeper",
        "_left",
        "_turn",
        "entered_at",
        "is_spare",
        "number",
        "priority",
        "queue_depth",
        "since",
        "tokens",
        "tokens_charged",
        "user",
    )

    def __init__(
        self, keeper: Keeper, *, user: str, tokens: int, priority: Priority, since: float, number: int, queue_depth: int
    ) -> None:
        self._keeper = keeper
        self._turn: asyncio.Future[None] | None = None
        self._left = False
        self.user = user
        self.tokens = self.tokens_charged = tokens
        self.priority = priority
        self.since = since
        self.number = number
        self.queue_depth = queue_depth
        self.entered_at: float | None = None
        self.is_spare = False

    @property
    def waiting(self) -> bool:
        """True until its turn has come."""
        return self._turn is not None and not self._turn.done()

    async def turn(self) -> None:
        """Return when this request may run; a request that found a free slot returns at once."""
        if self._turn is not None:
            await self._turn

    def resize(self, tokens: int) -> None:
        """Tell the true size of prompt and answer, before `turn` is awaited: it may have to wait after all."""
        if not self._left:
            self._keeper.resize(self, tokens)

    def leave(self, used_tokens: int = 0) -> None:
        """Give slot and memory, or the place in the queue, to the next one. Idempotent.

        used_tokens: read and written; what was charged beyond them is given back to the user.
        """
        if not self._left:
            self._left = True
            self._keeper.release(self, used_tokens)

    def wait(self) -> None:
        """For the gate: its turn is yet to come."""
        self._turn = asyncio.get_running_loop().create_future()

    def call(self) -> None:
        """For the gate: its turn has come."""
        if self._turn is not None and not self._turn.done():
            self._turn.set_result(None)

    def dismiss(self) -> None:
        """For the gate: its turn will never come."""
        if self._turn is not None:
            self._turn.cancel()
