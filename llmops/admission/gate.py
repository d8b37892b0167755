"""The gate: so many requests run, within so much memory, so many wait in a fair order; the next is refused at once."""

from __future__ import annotations

import collections
import itertools
import math
import operator
from collections.abc import Callable

from llmops.admission.bucket import Buckets
from llmops.admission.line import Line, order_of
from llmops.admission.refusals import Draining, QueueFull, RateLimited
from llmops.admission.ticket import Priority, Ticket

_SMOOTHING = 0.2
"""Weight of the newest request in the mean time that a slot is held."""
_SPARE_TOKENS = 0.25
"""A newcomer finds so much more of the queue's tokens, as it finds spare places."""
COMPANY_S = 10.0
"""Whoever had a request here so lately is still here: people read before they ask again."""

CROWDED_S = 0.2
"""Whoever sends too much sends its next request within this time."""


class Gate:
    """Admission for one event loop; `clock` is monotonic seconds.

    Every decision is synchronous, so nothing can slip between look and act.

    spare_running, spare_queue: slots and places for users who have nothing running, or nothing here at all: however
    much one user asks for, the next one finds a place.
    user_share: of the slots, the most that one user holds while somebody is here who asks for less: what shares a batch
    with many is slower for it. None: the engine's `fair_share`.
    queue_tokens: tokens of prompt and answer that may wait; None: any.
    token_buckets: what a user may spend in tokens, beside `buckets` of requests; None: any.
    """

    def __init__(
        self,
        *,
        max_running: int,
        queue_size: int,
        buckets: Buckets,
        clock: Callable[[], float],
        spare_running: int = 0,
        spare_queue: int = 0,
        user_share: float | None = None,
        queue_tokens: int | None = None,
        token_buckets: Buckets | None = None,
    ) -> None:
        self.max_running = max_running
        self.queue_size = queue_size
        self.cache_tokens: int | None = None
        """What the engine's cache holds now, set by whoever knows; None delays nothing."""
        self.fair_share = 1.0
        """As the engine knows it, set by whoever asks it; 1 holds nobody back."""
        self._spare_running = spare_running
        self._spare_queue = min(spare_queue, queue_size)
        self._user_share = user_share
        self._queue_tokens = queue_tokens
        self._buckets = buckets
        self._token_buckets = token_buckets
        self._clock = clock
        self._line = Line()
        self._numbers = itertools.count()
        self._slots = 0
        self._spare_slots = 0
        self._held: list[Ticket] = []
        self._tokens = 0
        self._running_of: collections.Counter[str] = collections.Counter()
        self._seen_at: dict[str, float] = {}  # whoever was here lately, the longest ago first
        self._mean_hold_s: float | None = None
        self._turned_away_at = -math.inf
        self._draining = False

    @property
    def running(self) -> int:
        """Requests that hold a slot."""
        return self._slots + self._spare_slots

    @property
    def waiting(self) -> int:
        """Requests in the queue."""
        return len(self._line)

    @property
    def running_tokens(self) -> int:
        """Cache that is set aside for what runs, in tokens of prompt and answer."""
        return self._tokens

    @property
    def waiting_tokens(self) -> int:
        """Tokens of prompt and answer in the queue."""
        return self._line.tokens

    @property
    def draining(self) -> bool:
        """True once `drain` was called."""
        return self._draining

    @property
    def is_crowded(self) -> bool:
        """Whether somebody was turned away a moment ago because the queue was full."""
        return self._clock() - self._turned_away_at < CROWDED_S

    def drain(self) -> None:
        """From now on nothing enters; what entered may finish."""
        self._draining = True

    def admit(
        self,
        user: str,
        tokens: int = 0,
        priority: Priority = Priority.INTERACTIVE,
        within_s: float | None = None,
    ) -> Ticket:
        """A ticket, or a Refusal at once. The queue is asked first: a full queue costs nobody a token.

        tokens: an estimate of prompt and answer together; `Ticket.resize` tells the true number.
        within_s: a request that would wait longer than this is refused now, not after it has waited.
        """
        if self._draining:
            raise Draining("The server is shutting down and takes no new requests: try again shortly.", 5)
        now = self._clock()
        ticket = Ticket(
            self,
            user=user,
            tokens=tokens,
            priority=priority,
            since=now,
            number=next(self._numbers),
            queue_depth=len(self._line),
        )
        starts = self._may_start(ticket, now)
        if not starts:
            self._check_queue(ticket, within_s)
        self._charge(user, tokens, now)
        self._see(ticket, now)
        if starts:
            self._start(ticket, now)
        else:
            ticket.wait()
            self._line.join(ticket)
        return ticket

    def resize(self, ticket: Ticket, tokens: int) -> None:
        """The true size of a request that does not generate yet. One that no longer fits keeps its slot and waits."""
        if ticket.entered_at is None:
            self._line.resize(ticket, tokens)
        elif ticket in self._held:
            ticket.tokens = tokens
        else:
            self._tokens -= ticket.tokens
            ticket.tokens = tokens
            if self._fits(ticket, active=self.running - len(self._held) - 1):
                self._tokens += tokens
            else:
                ticket.wait()
                self._held.append(ticket)
        self._advance(self._clock())

    def release(self, ticket: Ticket, used_tokens: int) -> None:
        """Called once by every ticket: frees its slot and memory, or its place in the queue."""
        now = self._clock()
        if self._token_buckets is not None:
            self._token_buckets.spend(ticket.user, now, used_tokens - ticket.tokens_charged)
        if ticket.entered_at is None:
            self._line.leave(ticket)
        else:
            self._free(ticket, now - ticket.entered_at)
        ticket.dismiss()
        self._see(ticket, now)
        self._advance(now)

    def _may_start(self, ticket: Ticket, now: float) -> bool:
        """Whether one that comes now overtakes nobody: those who wait could not start, or come after it."""
        if self._held or not self._has_slot_for(ticket) or not self._fits(ticket, self.running):
            return False
        first = self._line.first(now, self._running_of.__getitem__, self._has_slot_for)
        if first is None:
            return True
        running_of = self._running_of
        return order_of(ticket, now, running_of[ticket.user]) < order_of(first, now, running_of[first.user])

    def _has_slot_for(self, ticket: Ticket) -> bool:
        if self._slots < self.max_running:
            share = self._share
            return self._running_of[ticket.user] < share or not self._has_company(ticket.user, share)
        spare = self._spare_slots < self._spare_running and ticket.user not in self._running_of
        return spare and ticket.priority is not Priority.BENCHMARK

    def _see(self, ticket: Ticket, now: float) -> None:
        """Its user is here now; measurements are nobody's company."""
        if ticket.priority is not Priority.BENCHMARK:
            self._seen_at.pop(ticket.user, None)
            self._seen_at[ticket.user] = now

    @property
    def _share(self) -> int:
        share = self.fair_share if self._user_share is None else self._user_share
        return max(1, int(share * self.max_running)) if share < 1 else self.max_running + self._spare_running

    def _has_company(self, user: str, share: int) -> bool:
        """Whether somebody else is here who asks for less than a share."""
        since = self._clock() - COMPANY_S
        while self._seen_at and next(iter(self._seen_at.values())) < since:
            del self._seen_at[next(iter(self._seen_at))]
        return any(
            self._running_of[other] + self._line.waiting_of(other) < share for other in self._seen_at if other != user
        )

    def _fits(self, ticket: Ticket, active: int) -> bool:
        """Beside `active` others in the cache. Alone everything fits: the engine refuses what never would."""
        return active == 0 or self.cache_tokens is None or self._tokens + ticket.tokens <= self.cache_tokens

    def _check_queue(self, ticket: Ticket, within_s: float | None) -> None:
        line, user, measures = self._line, ticket.user, ticket.priority is Priority.BENCHMARK
        newcomer = user not in self._running_of and not line.waiting_of(user) and not measures
        if len(line) >= self.queue_size + (self._spare_queue if newcomer else 0):
            self._turned_away_at = ticket.since
            raise QueueFull(
                f"The queue is full ({len(line)} of {self.queue_size} requests wait): try again later.",
                self._expected_wait_s(1),
            )
        if measures and line.waiting_at(Priority.BENCHMARK) >= (self.queue_size + 1) // 2:
            raise QueueFull("Benchmarks may fill half of the queue, and do: try again later.", self._expected_wait_s(1))
        allowed = (self._queue_tokens or 0) * (1 + _SPARE_TOKENS * newcomer)
        if self._queue_tokens is not None and line.tokens and line.tokens + ticket.tokens > allowed:
            self._turned_away_at = ticket.since
            raise QueueFull(
                f"The queue is full ({line.tokens} of {self._queue_tokens} tokens wait, and this request has "
                f"{ticket.tokens}): try again later, or ask for less.",
                self._expected_wait_s(1),
            )
        expected_s = self._expected_wait_s(line.ahead_of(ticket.priority, newcomer) + 1)
        if within_s is not None and self._mean_hold_s is not None and expected_s > within_s:
            raise QueueFull(
                f"The wait would be about {expected_s:.0f} s, longer than the {within_s:.3g} s that this request has "
                "left: try again later.",
                expected_s - within_s,
            )

    def _charge(self, user: str, tokens: int, now: float) -> None:
        wait_s, what = self._buckets.wait_s(user, now), "requests"
        if self._token_buckets is not None:
            waits = (wait_s, what), (self._token_buckets.wait_s(user, now, tokens), "tokens")
            wait_s, what = max(waits, key=operator.itemgetter(0))
        if wait_s > 0:
            raise RateLimited(f"Too many {what} from this user: try again in {wait_s:.1f} s.", wait_s)
        self._buckets.spend(user, now)
        if self._token_buckets is not None:
            self._token_buckets.spend(user, now, tokens)

    def _advance(self, now: float) -> None:
        """Start whatever can start: first who has a slot and waits for memory, then the queue, overtaking nobody."""
        while self._held:
            if not self._fits(self._held[0], self.running - len(self._held)):
                return
            ticket = self._held.pop(0)
            self._tokens += ticket.tokens
            ticket.call()
        while self.running < self.max_running + self._spare_running:
            first = self._line.first(now, self._running_of.__getitem__, self._has_slot_for)
            if first is None or not self._fits(first, self.running):
                return
            self._line.leave(first)
            self._start(first, now)

    def _start(self, ticket: Ticket, now: float) -> None:
        ticket.is_spare = self._slots >= self.max_running
        if ticket.is_spare:
            self._spare_slots += 1
        else:
            self._slots += 1
        self._tokens += ticket.tokens
        self._running_of[ticket.user] += 1
        ticket.entered_at = now
        ticket.call()

    def _free(self, ticket: Ticket, held_s: float) -> None:
        mean = self._mean_hold_s
        self._mean_hold_s = held_s if mean is None else mean + _SMOOTHING * (held_s - mean)
        if ticket in self._held:
            self._held.remove(ticket)
        else:
            self._tokens -= ticket.tokens
        if ticket.is_spare:
            self._spare_slots -= 1
        else:
            self._slots -= 1
        self._running_of[ticket.user] -= 1
        if not self._running_of[ticket.user]:
            del self._running_of[ticket.user]

    def _expected_wait_s(self, places: int) -> float:
        """When so many places will have moved up: a slot's mean hold for each, over the slots that are in use."""
        return (self._mean_hold_s or 1.0) * places / max(1, self.running)
