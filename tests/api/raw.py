"""A small application behind the real server, and raw bytes that no client library would send."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Collection
from typing import Any

import uvloop
from starlette.types import Receive, Scope, Send

from llmops.api.answer import send_json
from llmops.api.connection_table import ConnectionLimits
from llmops.api.server import Server, bind

HEAD = b"GET / HTTP/1.1\r\nhost: localhost\r\n"
CLOSE = b"connection: close\r\n"
LIMITS: dict[str, Any] = {"max_header_bytes": 4096, "max_body_bytes": 4096}


class App:
    """Answers with what it was asked, after `delay_s`; `/stream` in pieces without a length."""

    def __init__(self, delay_s: float = 0.0, reads: bool = True, size: int = 1) -> None:
        self.delay_s, self.reads, self.size = delay_s, reads, size
        self.asked: list[dict[str, Any]] = []
        self.left = 0
        self.connections: Collection[object] = ()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        body, more = b"", self.reads
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                self.left += 1
                return
            body, more = body + message["body"], message["more_body"]
        self.asked.append({"path": scope["path"], "body": body, "headers": list(scope["headers"])})
        working = asyncio.ensure_future(self._answer(scope, send, body))
        leaving = asyncio.ensure_future(receive()) if self.reads else asyncio.ensure_future(asyncio.sleep(99))
        await asyncio.wait((working, leaving), return_when=asyncio.FIRST_COMPLETED)
        self.left += not working.done()
        for task in (working, leaving):
            task.cancel()
        await asyncio.gather(working, leaving, return_exceptions=True)

    async def _answer(self, scope: Scope, send: Send, body: bytes) -> None:
        if scope["path"] != "/stream":
            await asyncio.sleep(self.delay_s)
            await send_json(send, 200, {"body": body.decode("latin-1"), "padding": "x" * self.size}, {})
            return
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/event-stream")]})
        await asyncio.sleep(self.delay_s)
        for number in range(3):
            await send({"type": "http.response.body", "body": b"data: %d\n\n" % number, "more_body": True})
        await send({"type": "http.response.body", "body": b""})


@contextlib.asynccontextmanager
async def serving(app: App, **limits: Any) -> AsyncIterator[tuple[str, int]]:
    sock = bind("127.0.0.1", 0)

    async def drained() -> None:
        """Nothing to drain."""

    server = Server(app, drained, limits=ConnectionLimits(**{**LIMITS, **limits}))
    app.connections = server.server_state.connections
    running = asyncio.create_task(server.run_on(sock))
    while not server.started:
        await asyncio.sleep(0.001)
    try:
        yield sock.getsockname()[:2]
    finally:
        server.finish()
        await running
        sock.close()


async def exchange(address: tuple[str, int], *pieces: bytes, half_closes: bool = False, within_s: float = 10) -> bytes:
    """Everything that the server sends until it closes; `pieces` in packets of their own."""
    reader, writer = await asyncio.open_connection(*address)
    for piece in pieces:
        with contextlib.suppress(ConnectionError, RuntimeError):  # uvloop's word for a closed one
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(0.01)
    if half_closes:
        writer.write_eof()
    received = b""
    with contextlib.suppress(ConnectionError):
        async with asyncio.timeout(within_s):
            while piece := await reader.read(65536):
                received += piece
    writer.close()
    return received


def code(answer: bytes) -> tuple[int, str]:
    """Status and code of an error in the shape of the API."""
    head, _, body = answer.partition(b"\r\n\r\n")
    assert b"\r\nx-request-id: " in head
    return int(head.split()[1]), json.loads(body)["error"]["code"]


def post(body: bytes, *headers: bytes, path: bytes = b"/", version: bytes = b"1.1") -> bytes:
    head = b"POST %b HTTP/%b\r\nhost: localhost\r\n%bcontent-length: %d\r\n\r\n"
    return head % (path, version, b"".join(headers), len(body)) + body


def run(test: Any) -> None:
    """On the loop that serve runs on."""
    uvloop.run(test())
