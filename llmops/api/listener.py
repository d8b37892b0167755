"""Lets connections in: each at once, and while the house turns requests away, those of a few milliseconds together."""

from __future__ import annotations

import asyncio
import errno
import functools
import logging
import socket
from collections.abc import Callable
from typing import Any, TypeAlias

_log = logging.getLogger(__name__)

GATHER_S = 0.01
"""Each request that is turned away wakes a process whose caches the model has filled; together they cost three quarters
of that (docs/decisions/0018)."""
_AT_ONCE = 64
"""Connections before those that are already here get a turn."""
_RETRY_S = 1.0
"""As long as asyncio's own servers wait when the system has no more file descriptors."""
_LEFT = (
    *(errno.ECONNABORTED, errno.EPROTO, errno.ENOPROTOOPT, errno.EOPNOTSUPP),
    *(errno.ENETDOWN, errno.ENETUNREACH, errno.EHOSTDOWN, errno.EHOSTUNREACH, getattr(errno, "ENONET", errno.EPROTO)),
)
"""What became of a connection before it was let in: accept(2) says to take the next one."""
_EXHAUSTED = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)

Welcome: TypeAlias = Callable[[Any], asyncio.Protocol]
"""From the address that `socket.accept` gave to a protocol for who comes from there."""


class Listener:
    """Accepts for one listening socket on the running loop, in place of the loop's own server; the socket is its
    caller's to close.

    is_crowded: whether requests are being turned away.
    """

    def __init__(self, sock: socket.socket, protocol: Welcome, is_crowded: Callable[[], bool]) -> None:
        self._sock = sock
        self._protocol = protocol
        self._is_crowded = is_crowded
        self._loop = asyncio.get_running_loop()
        self._entering: set[asyncio.Task[None]] = set()
        self._resting: asyncio.TimerHandle | None = None
        self._closed = False
        sock.setblocking(False)
        self._listen()

    def close(self) -> None:
        """Let nobody else in. Idempotent."""
        if self._closed:
            return
        self._closed = True
        if self._resting is not None:
            self._resting.cancel()
        self._loop.remove_reader(self._sock)

    async def wait_closed(self) -> None:
        """Whoever was let in has its protocol."""
        await asyncio.gather(*self._entering, return_exceptions=True)

    def _listen(self) -> None:
        self._loop.add_reader(self._sock, self._let_in)

    def _rest(self, seconds: float) -> None:
        self._loop.remove_reader(self._sock)
        self._resting = self._loop.call_later(seconds, self._listen)

    def _let_in(self) -> None:
        for _ in range(_AT_ONCE):
            try:
                connection, address = self._sock.accept()
            except BlockingIOError:  # nobody else is at the door
                if self._is_crowded():
                    self._rest(GATHER_S)
                return
            except OSError as error:
                if error.errno in _LEFT:
                    continue
                if error.errno not in _EXHAUSTED:
                    raise
                _log.error("no connection can be let in: %s. Trying again in %g s.", error.strerror, _RETRY_S)
                self._rest(_RETRY_S)
                return
            connection.setblocking(False)
            entering = self._loop.create_task(self._enter(connection, address))
            self._entering.add(entering)
            entering.add_done_callback(self._entering.discard)

    async def _enter(self, connection: socket.socket, address: Any) -> None:
        try:
            await self._loop.connect_accepted_socket(functools.partial(self._protocol, address), connection)
        except OSError as error:  # it left just then
            connection.close()
            _log.debug("a connection was gone before it was in: %s", error)
