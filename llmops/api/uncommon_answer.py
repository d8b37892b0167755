"""Sends the last answer of a connection, or one to a client that knows no chunks or waits for `100 Continue`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

from starlette.types import Message
from uvicorn.protocols.http.httptools_impl import RequestResponseCycle


class UncommonAnswer:
    """Stands before the `send` of uvicorn's cycle.

    The end of the connection is the end of an HTTP/1.0 answer without a length. A client that was answered before it
    was told to go on may send its body or not, so its connection ends too. on_last is called before the end of an
    answer after which the connection is to be closed: uvicorn would close it while its client still sends.
    """

    def __init__(self, cycle: RequestResponseCycle, http_version: str, on_last: Callable[[], None]) -> None:
        self._cycle, self._send, self._on_last = cycle, cycle.send, on_last
        self._knows_chunks = http_version != "1.0"
        self._is_until_close = self._is_last = False

    async def __call__(self, message: Message) -> None:
        """Send one ASGI message."""
        cycle = self._cycle
        if message["type"] == "http.response.start":
            if cycle.waiting_for_100_continue:
                cycle.keep_alive = False
            has_length = any(name.lower() == b"content-length" for name, _ in message.get("headers", ()))
            if not has_length and not self._knows_chunks:
                self._is_until_close, cycle.chunked_encoding = True, False
            await self._send(cast("Any", message))
            self._is_last = not cycle.keep_alive
            return
        if self._is_until_close:
            cycle.expected_content_length = len(message.get("body", b""))
        if self._is_last and not message.get("more_body", False):
            cycle.keep_alive = True
            self._on_last()
        await self._send(cast("Any", message))
