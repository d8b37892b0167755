"""Sends the answer to an HTTP/1.0 client, which knows no chunks, or to one that waits for `100 Continue`."""

from __future__ import annotations

from typing import Any, cast

from starlette.types import Message
from uvicorn.protocols.http.httptools_impl import RequestResponseCycle


class UncommonAnswer:
    """Stands before the `send` of uvicorn's cycle.

    The end of the connection is the end of an HTTP/1.0 answer without a length. A client that was answered before it
    was told to go on may send its body or not, so its connection ends too.
    """

    def __init__(self, cycle: RequestResponseCycle, http_version: str) -> None:
        self._cycle, self._send = cycle, cycle.send
        self._knows_chunks = http_version != "1.0"
        self._is_until_close = False

    async def __call__(self, message: Message) -> None:
        """Send one ASGI message."""
        cycle = self._cycle
        if message["type"] == "http.response.start":
            if cycle.waiting_for_100_continue:
                cycle.keep_alive = False
            has_length = any(name.lower() == b"content-length" for name, _ in message.get("headers", ()))
            if not has_length and not self._knows_chunks:
                self._is_until_close, cycle.chunked_encoding = True, False
        elif self._is_until_close:
            cycle.expected_content_length = len(message.get("body", b""))
        await self._send(cast("Any", message))
