"""A client that sends no more: whether it has left, or still reads its answer."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Sized
from typing import Any

AT_ONCE_S = 0.05
"""A client that only closes its sending side does so with its request (`nc -N`); one that leaves does so later."""
_INTERIM_AFTER_S, _AGAIN_AFTER_S = 1.0, 15.0
_FIRST_LOOK_S, _LONGEST_LOOK_S = 0.01, 0.5
_INTERIM = b"HTTP/1.1 100 Continue\r\n\r\n"
_COMMENT = b":\n\n"
"""Of server-sent events: every answer of ours without a length is a stream of those."""


class HalfClose:
    """The end of a client's stream looks the same whether it closed its socket or only its sending side
    (`shutdown(SHUT_WR)`). The difference shows when something is written, and only then: a closed socket answers with
    a reset. So a stream gets a comment, and a client that waits for its answer an interim response, which HTTP/1.1
    lets a client ignore (docs/decisions/0024).

    cycle: uvicorn's state of the last response; others: of those before it. is_late: the end came after `AT_ONCE_S`.
    """

    def __init__(self, transport: asyncio.Transport, cycle: Any, others: Sized, *, is_late: bool) -> None:
        self._transport, self._cycle, self._others, self._is_late = transport, cycle, others, is_late
        self._loop = asyncio.get_running_loop()
        self._interval_s = _FIRST_LOOK_S
        self._stream_at = self._loop.time()
        self._interim_at = self._stream_at + (0.0 if is_late else _INTERIM_AFTER_S)
        self._timer: asyncio.Handle = self._loop.call_soon(self._look)

    def cancel(self) -> None:
        """Look no more. Idempotent."""
        self._timer.cancel()

    def _look(self) -> None:
        if self._transport.is_closing() or self._cycle.response_complete:
            return
        sock = self._transport.get_extra_info("socket")
        if sock is None or sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) or self._has_left:
            self._transport.abort()
            return
        if not self._others and not self._transport.get_write_buffer_size():
            self._probe(self._loop.time())
        self._timer = self._loop.call_later(self._interval_s, self._look)
        self._interval_s = min(_LONGEST_LOOK_S, 2 * self._interval_s)

    @property
    def _has_left(self) -> bool:
        """HTTP/1.0 has no interim response to tell by."""
        return self._is_late and self._cycle.scope["http_version"] == "1.0" and not self._cycle.response_started

    def _probe(self, now: float) -> None:
        cycle = self._cycle
        if cycle.response_started:
            if now >= self._stream_at and not cycle.expected_content_length:
                self._stream_at = now + _AGAIN_AFTER_S
                self._transport.write(
                    b"%x\r\n%b\r\n" % (len(_COMMENT), _COMMENT) if cycle.chunked_encoding else _COMMENT
                )
        elif now >= self._interim_at and cycle.scope["http_version"] == "1.1":
            self._interim_at = now + _AGAIN_AFTER_S
            self._transport.write(_INTERIM)
