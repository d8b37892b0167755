"""The connections of a server: how many there may be, how long each may wait, and which one makes room."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Callable
from typing import Literal, Protocol, TypeAlias

Stage: TypeAlias = Literal["new", "idle", "head", "body"]
"""Of the request that is read: no byte yet, none after an answered request, in its headers, in its body."""

_log = logging.getLogger(__name__)
_SAY_EVERY_S = 60.0
_MANY = 1000
"""Connections whose memory is worth giving back."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionLimits:
    """What a client may send, and how long it may take.

    max_header_bytes: of the request line and the headers together.
    body_timeout_s: until a connection whose request has no end is closed; the routes answer 408 before.
    write_timeout_s: how long a client that reads nothing is waited for.
    max_per_address: connections of one address that is not loopback.
    """

    max_header_bytes: int = 32 << 10
    max_headers: int = 100
    max_body_bytes: int = 2 << 20
    header_timeout_s: float = 10.0
    body_timeout_s: float = 35.0
    keep_alive_s: float = 75.0
    write_timeout_s: float = 60.0
    max_connections: int = 4096
    max_per_address: int = 1000

    def within_s(self, stage: Stage) -> float:
        """How long a connection may stay in this stage."""
        if stage == "idle":
            return self.keep_alive_s
        return self.body_timeout_s if stage == "body" else self.header_timeout_s


class Expiring(Protocol):
    """A connection, as the table sees it."""

    address: str
    is_loopback: bool

    def expire(self) -> None:
        """Its deadline for a request has passed, or another connection needs the room."""
        ...

    def abort(self) -> None:
        """The client reads nothing."""
        ...


class ConnectionTable:
    """On the event loop only. A connection whose request is being answered has no deadline here."""

    def __init__(self, limits: ConnectionLimits, clock: Callable[[], float]) -> None:
        self.limits = limits
        self.clock = clock
        self._waiting: dict[Expiring, float] = {}
        self._stuck: dict[Expiring, float] = {}
        self._by_address: dict[str, int] = {}
        self._count = self._most = 0
        self._said_at = -_SAY_EVERY_S

    def admit(self, connection: Expiring) -> bool:
        """Count it in; False when there is no room. At the limit, the one that has waited longest makes room."""
        self._count += 1
        self._most = max(self._most, self._count)
        here = self._by_address.get(connection.address, 0) + 1
        self._by_address[connection.address] = here
        if not connection.is_loopback and here > self.limits.max_per_address:
            self._say(f"{here - 1} connections of one address are open: no further one of it is accepted")
            return False
        if self._count <= self.limits.max_connections:
            return True
        self._say(f"{self._count - 1} connections are open: those that have waited longest for a request are closed")
        oldest = next(iter(self._waiting), None)
        if oldest is None:
            return False
        del self._waiting[oldest]
        oldest.expire()
        return True

    def leave(self, connection: Expiring) -> None:
        """It is closed."""
        self._waiting.pop(connection, None)
        self._stuck.pop(connection, None)
        self._count -= 1
        left = self._by_address[connection.address] - 1
        if left:
            self._by_address[connection.address] = left
        else:
            del self._by_address[connection.address]

    def expect_request(self, connection: Expiring, within_s: float) -> None:
        """It has no whole request yet, and must have one in time."""
        self._waiting[connection] = self.clock() + within_s

    def expect_nothing(self, connection: Expiring) -> None:
        """Its request is whole."""
        self._waiting.pop(connection, None)

    def expect_reader(self, connection: Expiring, within_s: float) -> None:
        """What was written to it must be read in time."""
        self._stuck.setdefault(connection, self.clock() + within_s)

    def reads(self, connection: Expiring) -> None:
        """It reads again."""
        self._stuck.pop(connection, None)

    def sweep(self) -> None:
        """Close whatever is past its deadline."""
        now = self.clock()
        for connection in [each for each, deadline in self._waiting.items() if deadline <= now]:
            self._waiting.pop(connection, None)
            connection.expire()
        for connection in [each for each, deadline in self._stuck.items() if deadline <= now]:
            self._stuck.pop(connection, None)
            connection.abort()

    def has_emptied(self) -> bool:
        """Whether most of many connections are gone since this was last true."""
        if self._most < _MANY or self._count > self._most // 2:
            return False
        self._most = self._count
        return True

    def _say(self, message: str) -> None:
        now = self.clock()
        if now - self._said_at >= _SAY_EVERY_S:
            self._said_at = now
            _log.warning("%s", message)
