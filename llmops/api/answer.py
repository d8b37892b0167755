"""An answer on its way out: one JSON object, or server-sent events as the OpenAI clients read them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

from starlette.types import Send

from llmops.api.errors import describe
from llmops.api.schema import ChatRequest
from llmops.engine.contract import Piece
from llmops.inference.exchange import Exchange

KEEPALIVE_S = 15.0
"""Proxies close a silent connection after 30 to 60 s; a comment line this often keeps a waiting client's open."""

_SSE_HEADERS = {
    "content-type": "text/event-stream; charset=utf-8",
    "cache-control": "no-cache",
    "x-accel-buffering": "no",
}
_DONE = b"data: [DONE]\n\n"
_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


async def send_json(send: Send, status: int, body: dict[str, Any], headers: dict[str, str]) -> None:
    """One JSON response."""
    payload = _json(body)
    await _start(send, status, {"content-type": "application/json", "content-length": str(len(payload)), **headers})
    await send({"type": "http.response.body", "body": payload})


async def send_whole(send: Send, pieces: AsyncGenerator[Piece, None], exchange: Exchange, id_header: str) -> None:
    """Collect the answer and send it as one object. Raises what the route raises, before anything is sent."""
    async with aclosing(pieces):
        async for _ in pieces:
            pass
    body = _envelope(exchange, "chat.completion")
    message = {"role": "assistant", "content": "".join(exchange.text)}
    body["choices"] = [{"index": 0, "message": message, "logprobs": None, "finish_reason": exchange.finish_reason}]
    body["usage"] = _usage(exchange)
    hint = exchange.hint()
    await send_json(send, 200, body, {"x-request-id": id_header, **({"x-llmops-hint": hint} if hint else {})})


async def send_stream(
    send: Send, pieces: AsyncGenerator[Piece, None], exchange: Exchange, request: ChatRequest, id_header: str
) -> None:
    """Stream the answer: role, deltas, finish reason, usage when asked for, `[DONE]`.

    What fails after the headers are out is sent as an error event, and ends the stream.
    """
    await _start(send, 200, {**_SSE_HEADERS, "x-request-id": id_header})
    template = _envelope(exchange, "chat.completion.chunk")
    try:
        await _event(send, _delta(template, {"role": "assistant", "content": ""}))
        async with aclosing(pieces):
            async for piece in _kept_alive(send, pieces):
                if piece.text:
                    await _event(send, _delta(template, {"content": piece.text}))
        await _event(send, _delta(template, {}, exchange.finish_reason))
        if request.include_usage:
            await _event(send, {**template, "choices": [], "usage": _usage(exchange)})
        await _chunk(send, _DONE)
    except Exception as error:
        slug, status, body, _ = describe(error)
        exchange.failed(slug, str(error), status, error)
        await _event(send, body)
    await send({"type": "http.response.body", "body": b""})


async def _kept_alive(send: Send, pieces: AsyncGenerator[Piece, None]) -> AsyncGenerator[Piece, None]:
    """The pieces, with a comment line every 15 s while the first one is awaited."""
    first = asyncio.ensure_future(anext(pieces))
    try:
        while not (await asyncio.wait((first,), timeout=KEEPALIVE_S))[0]:
            await _chunk(send, b": waiting\n\n")
    finally:
        if not first.done():
            first.cancel()
            await asyncio.gather(first, return_exceptions=True)
    try:
        yield first.result()
    except StopAsyncIteration:
        return
    async for piece in pieces:
        yield piece


def _envelope(exchange: Exchange, kind: str) -> dict[str, Any]:
    return {
        "id": exchange.response_id,
        "object": kind,
        "created": int(exchange.arrival.at),
        "model": exchange.fields.get("response_model"),
    }


def _delta(template: dict[str, Any], delta: dict[str, Any], finish_reason: str | None = None) -> dict[str, Any]:
    return {**template, "choices": [{"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish_reason}]}


def _usage(exchange: Exchange) -> dict[str, int]:
    read, written = exchange.input_tokens or 0, exchange.output_tokens
    return {"prompt_tokens": read, "completion_tokens": written, "total_tokens": read + written}


def _json(body: dict[str, Any]) -> bytes:
    return _encode(body).encode("utf-8", "replace")


async def _start(send: Send, status: int, headers: dict[str, str]) -> None:
    raw = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": status, "headers": raw})


async def _event(send: Send, body: dict[str, Any]) -> None:
    await _chunk(send, b"data: " + _json(body) + b"\n\n")


async def _chunk(send: Send, data: bytes) -> None:
    await send({"type": "http.response.body", "body": data, "more_body": True})
