"""Clients as bare connections: hundreds at once cost little, and each can leave at any moment."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import json
from typing import Any

PATIENCE_S = 30.0
"""Nobody may wait longer than this for an end, whatever happened."""


@dataclasses.dataclass(frozen=True)
class Answer:
    """What came back: status, and the body as text; of a stream, all of its lines."""

    status: int
    body: str

    @property
    def text(self) -> str:
        """The answer itself, whole or streamed."""
        if not self.body.startswith("data:"):
            return str(json.loads(self.body)["choices"][0]["message"]["content"])
        events = [line.removeprefix("data: ") for line in self.body.splitlines() if line.startswith("data: {")]
        deltas = [event["choices"][0]["delta"] for event in map(json.loads, events) if event.get("choices")]
        return "".join(delta.get("content", "") for delta in deltas)

    @property
    def slug(self) -> str | None:
        """The error's code, in the body or at the end of the stream."""
        events = [line.removeprefix("data: ") for line in self.body.splitlines()]
        errors = [json.loads(event).get("error") for event in events if event.startswith("{")]
        return next((error["code"] for error in errors if error), None)


async def post(port: int, body: dict[str, Any], *, request_id: str | None = None) -> Answer:
    """One request, to its end."""
    async with asyncio.timeout(PATIENCE_S):
        reader, writer = await _opened(port, body, request_id)
        with contextlib.closing(writer):
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            rest = await reader.read()
    if "transfer-encoding: chunked" in head.lower():
        rest = _dechunked(rest)
    return Answer(int(head.split(" ", 2)[1]), rest.decode())


async def leave(port: int, body: dict[str, Any], after_s: float) -> None:
    """One request whose client is gone after so long, wherever it is then."""
    _, writer = await _opened(port, body, None)
    await asyncio.sleep(after_s)
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()


def chat(text: str, *, max_tokens: int = 16, stream: bool = False, **dials: Any) -> dict[str, Any]:
    messages = [{"role": "user", "content": text}]
    return {"messages": messages, "max_tokens": max_tokens, "stream": stream, "temperature": 0, **dials}


async def _opened(
    port: int, body: dict[str, Any], request_id: str | None
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    payload = json.dumps(body).encode()
    own = f"x-request-id: {request_id}\r\n" if request_id else ""
    head = f"POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n{own}"
    writer.write(f"{head}content-length: {len(payload)}\r\n\r\n".encode() + payload)
    await writer.drain()
    return reader, writer


def _dechunked(body: bytes) -> bytes:
    whole = b""
    while body:
        size, _, body = body.partition(b"\r\n")
        length = int(size, 16)
        whole += body[:length]
        body = body[length + 2 :]
    return whole
