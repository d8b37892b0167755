"""The queue: who waits, and whose turn is next."""

from __future__ import annotations

from collections.abc import Callable

from llmops.admission.ticket import Priority, Ticket

PATIENCE_S = 60.0
"""A request that waited so long counts as one priority higher, so that no priority waits for ever."""


class Line:
    """Requests in lanes, one for each user and priority: within a lane the oldest is always first.

    The next one is of the highest priority, of the user with the fewest running, the longest waiting.
    """

    def __init__(self) -> None:
        self._lanes: dict[tuple[Priority, str], dict[Ticket, None]] = {}
        self._count = [0] * len(Priority)
        self._users: dict[str, int] = {}
        self._length = 0
        self.tokens = 0

    def __len__(self) -> int:
        return self._length

    def waiting_of(self, user: str) -> int:
        """How many requests of this user wait."""
        return self._users.get(user, 0)

    def waiting_at(self, priority: Priority) -> int:
        """How many requests of this priority wait."""
        return self._count[priority]

    def ahead_of(self, priority: Priority, is_newcomer: bool) -> int:
        """How many go before one that joins now: of a newcomer's own kind at most one for each user."""
        before = sum(self._count[:priority])
        return before + (min(len(self._users), self._count[priority]) if is_newcomer else self._count[priority])

    def join(self, ticket: Ticket) -> None:
        """Wait from now on."""
        self._lanes.setdefault((ticket.priority, ticket.user), {})[ticket] = None
        self._count[ticket.priority] += 1
        self._length += 1
        self._users[ticket.user] = self._users.get(ticket.user, 0) + 1
        self.tokens += ticket.tokens

    def leave(self, ticket: Ticket) -> None:
        """Wait no longer."""
        lane = self._lanes[ticket.priority, ticket.user]
        del lane[ticket]
        if not lane:
            del self._lanes[ticket.priority, ticket.user]
        self._count[ticket.priority] -= 1
        self._length -= 1
        self._users[ticket.user] -= 1
        if not self._users[ticket.user]:
            del self._users[ticket.user]
        self.tokens -= ticket.tokens

    def resize(self, ticket: Ticket, tokens: int) -> None:
        """The true size of one that waits; its place stays the same."""
        self.tokens += tokens - ticket.tokens
        ticket.tokens = tokens

    def first(
        self, now: float, running_of: Callable[[str], int], may_go: Callable[[Ticket], bool] = lambda _: True
    ) -> Ticket | None:
        """Whose turn it is, among those that may go; None when there is none."""
        heads = (next(iter(lane)) for lane in self._lanes.values())
        return min(
            (ticket for ticket in heads if may_go(ticket)),
            key=lambda ticket: order_of(ticket, now, running_of(ticket.user)),
            default=None,
        )


def order_of(ticket: Ticket, now: float, running: int) -> tuple[int, int, int]:
    """The smallest goes first. Patience ends at the highest priority: there, who has the fewest running goes first."""
    patience = int((now - ticket.since) / PATIENCE_S)
    return max(0, ticket.priority - patience), running, ticket.number
