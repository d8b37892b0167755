"""A real server on a local port that says, byte for byte, what a test tells it to."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, TypeAlias


@dataclasses.dataclass
class Asked:
    """One request as it arrived."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


Script: TypeAlias = Callable[[Asked, asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


async def _read(reader: asyncio.StreamReader) -> Asked:
    head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
    method, path, _ = head[0].split(" ")
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in head[1:] if line)}
    return Asked(method, path, headers, await reader.readexactly(int(headers.get("content-length", "0"))))


@contextlib.asynccontextmanager
async def serving(script: Script) -> AsyncIterator[tuple[str, list[Asked]]]:
    """Run `script` for each request; gives the address and the list of requests as they come."""
    asked: list[Asked] = []

    running: set[asyncio.Task[None]] = set()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            asked.append(await _read(reader))
            await script(asked[-1], reader, writer)
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()

    def begin(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        running.add(asyncio.create_task(handle(reader, writer)))

    server = await asyncio.start_server(begin, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", asked
    finally:
        server.close()
        await server.wait_closed()
        await asyncio.wait_for(asyncio.gather(*running), 5.0)


async def reply(writer: asyncio.StreamWriter, status: int, body: str, *headers: str) -> None:
    """A whole response with a length."""
    data = body.encode()
    lines = [f"HTTP/1.1 {status} X", f"content-length: {len(data)}", "connection: close", *headers]
    writer.write("\r\n".join(lines).encode() + b"\r\n\r\n" + data)
    await writer.drain()


async def open_stream(writer: asyncio.StreamWriter, *headers: str) -> None:
    """The head of a stream of events that ends with its connection."""
    lines = ["HTTP/1.1 200 OK", "content-type: text/event-stream; charset=utf-8", "connection: close", *headers]
    writer.write("\r\n".join(lines).encode() + b"\r\n\r\n")
    await writer.drain()


async def send(writer: asyncio.StreamWriter, *events: object) -> None:
    """Data events: strings as they are, everything else as JSON."""
    for event in events:
        data = event if isinstance(event, str) else json.dumps(event, ensure_ascii=False)
        writer.write(f"data: {data}\n\n".encode())
    await writer.drain()


def delta(text: str = "", finish_reason: str | None = None, **more: object) -> dict[str, object]:
    """A chunk of a chat."""
    return {"choices": [{"index": 0, "delta": {"content": text, **more}, "finish_reason": finish_reason}]}


def usage(input_tokens: int, output_tokens: int) -> dict[str, object]:
    """The chunk with the counts."""
    return {"choices": [], "usage": {"prompt_tokens": input_tokens, "completion_tokens": output_tokens}}


SNAPSHOT: dict[str, Any] = {
    "schema_version": "1",
    "at": 1700000000.0,
    "instance_id": "i-1",
    "process_id": 7,
    "started_at": 1699999999.0,
    "previous_exit": "none",
    "state": "ready",
    "model": {"id": "demo", "version": "v1", "engine": "echo", "colour": "blue"},
    "running": 0,
    "running_capacity": 16,
    "waiting": 0,
    "waiting_capacity": 100,
    "output_tokens_per_s": 0.0,
    "requests_by_outcome": {"success": 3},
    "refusals_by_slug": {},
    "environment": {"torch": "2.13.0", "cuda": "12.8"},
    "a_key_of_tomorrow": [1, 2, 3],
}
