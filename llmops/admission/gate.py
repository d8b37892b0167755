"""The gate: at most so many requests run, at most so many wait in order, the next one is refused at once."""

from __future__ import annotations

import asyncio
import collections
from collections.abc import Callable

from llmops.admission.bucket import Buckets
from llmops.admission.refusals import Draining, QueueFull, RateLimited

_SMOOTHING = 0.2
"""Weight of the newest request in the mean time that a slot is held."""


class Ticket:
    """The right to run, now or in turn. Whoever holds one must `leave` it."""

    def __init__(self, gate: Gate, depth: int) -> None:
        self._gate = gate
        self._turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._entered_at: float | None = None
        self._left = False
        self.queue_depth = depth

    @property
    def waiting(self) -> bool:
        """True until its turn has come."""
        return not self._turn.done()

    async def turn(self) -> None:
        """Return when this request may run; a request that found a free slot returns at once."""
        await self._turn

    def leave(self) -> None:
        """Give the slot, or the place in the queue, to the next one. Idempotent."""
        if not self._left:
            self._left = True
            self._gate.release(self)


class Gate:
    """Admission for one event loop; `clock` is monotonic seconds.

    Every decision is synchronous, so nothing can slip between look and act.
    """

    def __init__(self, *, max_running: int, queue_size: int, buckets: Buckets, clock: Callable[[], float]) -> None:
        self.max_running = max_running
        self.queue_size = queue_size
        self._buckets = buckets
        self._clock = clock
        self._queue: collections.deque[Ticket] = collections.deque()
        self._running = 0
        self._held_s: float | None = None
        self._draining = False

    @property
    def running(self) -> int:
        """Requests that hold a slot."""
        return self._running

    @property
    def waiting(self) -> int:
        """Requests in the queue."""
        return len(self._queue)

    @property
    def draining(self) -> bool:
        """True once `drain` was called."""
        return self._draining

    def drain(self) -> None:
        """From now on nothing enters; what entered may finish."""
        self._draining = True

    def admit(self, user: str) -> Ticket:
        """A ticket, or a Refusal at once. The queue is asked first: a full queue costs nobody a token."""
        if self._draining:
            raise Draining("The server is shutting down and takes no new requests: try again shortly.", 5)
        full = self._running >= self.max_running
        if full and len(self._queue) >= self.queue_size:
            raise QueueFull(
                f"The queue is full ({len(self._queue)} of {self.queue_size} requests wait): try again later.",
                self._expected_wait_s(),
            )
        now = self._clock()
        wait_s = self._buckets.take(user, now)
        if wait_s > 0:
            raise RateLimited(f"Too many requests from this user: try again in {wait_s:.1f} s.", wait_s)
        ticket = Ticket(self, depth=len(self._queue))
        if full:
            self._queue.append(ticket)
        else:
            self._start(ticket, now)
        return ticket

    def release(self, ticket: Ticket) -> None:
        """Called once by every ticket: frees its slot or its place in the queue."""
        if ticket._entered_at is None:
            self._queue.remove(ticket)
            ticket._turn.cancel()
            return
        now = self._clock()
        held_s = now - ticket._entered_at
        self._held_s = held_s if self._held_s is None else self._held_s + _SMOOTHING * (held_s - self._held_s)
        self._running -= 1
        self._start_next(now)

    def _start(self, ticket: Ticket, now: float) -> None:
        self._running += 1
        ticket._entered_at = now
        if not ticket._turn.done():
            ticket._turn.set_result(None)

    def _start_next(self, now: float) -> None:
        if self._queue:
            self._start(self._queue.popleft(), now)

    def _expected_wait_s(self) -> float:
        """When a place in the queue should be free: one slot's mean hold over the number of slots."""
        return (self._held_s or 1.0) / self.max_running
