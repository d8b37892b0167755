"""Many clients in one breath, as raw sockets: cheap enough that the measured time is the server's."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import time


@dataclasses.dataclass(frozen=True)
class Answer:
    """One response: status, headers, body, seconds from the request's last byte to the response's first."""

    status: int
    headers: dict[str, str]
    body: bytes
    first_byte_s: float


async def flood(port: int, count: int, text: str) -> list[Answer]:
    """Open `count` connections, then send one chat on each at once."""
    body = json.dumps({"messages": [{"role": "user", "content": text}]}).encode()
    head = f"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: {len(body)}\r\n\r\n"
    connections = [await asyncio.open_connection("127.0.0.1", port) for _ in range(count)]
    go = asyncio.Event()
    tasks = [asyncio.create_task(_ask(go, *connection, head.encode() + body)) for connection in connections]
    await asyncio.sleep(0.2)
    go.set()
    return await asyncio.gather(*tasks)


async def _ask(go: asyncio.Event, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, request: bytes) -> Answer:
    await go.wait()
    writer.write(request)
    started = time.monotonic()
    first = await reader.readline()
    first_byte_s = time.monotonic() - started
    rest = await reader.read()
    writer.close()
    head, _, body = rest.partition(b"\r\n\r\n")
    headers = dict(line.lower().split(": ", 1) for line in head.decode("latin-1").split("\r\n"))
    return Answer(int(first.split()[1]), headers, body, first_byte_s)
