"""An answer on its way out: one JSON object, or server-sent events as the OpenAI clients read them."""

from __future__ import annotations

import asyncio
import http
import json
from collections.abc import AsyncGenerator, Iterable
from contextlib import aclosing
from typing import Any

from starlette.types import Send

from llmops.api.correlation import new_id
from llmops.api.errors import STATUS, body_of, describe
from llmops.api.schema import TextRequest
from llmops.api.shapes import Shape
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
    await send_payload(send, status, encoded(body), headers)


async def send_payload(send: Send, status: int, payload: bytes, headers: dict[str, str]) -> None:
    """One response of JSON that stands written."""
    await _start(send, status, {"content-type": "application/json", "content-length": str(len(payload)), **headers})
    await send({"type": "http.response.body", "body": payload})


def error_response(slug: str, message: str, headers: Iterable[tuple[bytes, bytes]]) -> bytes:
    """An error as bytes on the wire, for a connection that reads no further. headers: those of every response."""
    payload, status = encoded(body_of(slug, message)), http.HTTPStatus(STATUS[slug][0])
    own = (
        (b"content-type", b"application/json"),
        (b"content-length", str(len(payload)).encode()),
        (b"connection", b"close"),
        (b"x-request-id", new_id().encode()),
        *(((b"retry-after", b"1"),) if status == http.HTTPStatus.TOO_MANY_REQUESTS else ()),
    )
    head = b"HTTP/1.1 %d %b\r\n" % (status.value, status.phrase.encode())
    return b"".join((head, *(b"%b: %b\r\n" % each for each in (*headers, *own)), b"\r\n", payload))


async def send_whole(
    send: Send, pieces: AsyncGenerator[Piece, None], exchange: Exchange, request: TextRequest, shape: Shape
) -> None:
    """Collect the answer and send it as one object. Raises what the route raises, before anything is sent."""
    async with aclosing(pieces):
        async for _ in pieces:
            pass
    body = _envelope(exchange, shape.whole)
    body["choices"] = [shape.answer("".join(exchange.text), exchange.finish_reason)]
    body["usage"] = _usage(exchange)
    if request.include_metrics:
        body["metrics"] = _metrics(exchange)
    hint = exchange.hint()
    advice = {"x-llmops-hint": hint} if hint else {}
    await exchange.record()
    await send_json(send, 200, body, headers_of(exchange) | advice)


async def send_stream(
    send: Send, pieces: AsyncGenerator[Piece, None], exchange: Exchange, request: TextRequest, shape: Shape
) -> None:
    """Stream the answer: opening, pieces, finish reason, usage and metrics when asked for, `[DONE]`.

    What fails after the headers are out is sent as an error event, and ends the stream.
    """
    await _start(send, 200, _SSE_HEADERS | headers_of(exchange))
    template = _envelope(exchange, shape.chunk)
    if request.include_usage:
        template["usage"] = None
    try:
        if shape.opening is not None:
            await _event(send, {**template, "choices": [shape.opening]})
        async with aclosing(pieces):
            before, after = _around_text(template, shape)
            async for piece in _kept_alive(send, pieces):
                if piece.text:
                    await _chunk(send, before + _bytes(_encode(piece.text)) + after)
        await _event(send, {**template, "choices": [shape.piece("", exchange.finish_reason)]})
        if request.include_usage or request.include_metrics:
            await _event(send, {**template, "choices": [], **_closing(exchange, request)})
        await _chunk(send, b"")  # returns once the client has taken what was sent, but for what the system buffers
        await exchange.record()
        await _chunk(send, _DONE)
    except Exception as error:
        slug, status, body, _ = describe(error)
        exchange.failed(slug, str(error), status, error)
        await exchange.record()
        await _event(send, body)
    await send({"type": "http.response.body", "body": b""})


def headers_of(exchange: Exchange) -> dict[str, str]:
    """Of every answer: the request's id, and the fields of its body that nothing here knows."""
    ignored = {"x-llmops-ignored": ", ".join(exchange.ignored)} if exchange.ignored else {}
    return {"x-request-id": exchange.arrival.request_id, **ignored}


def _closing(exchange: Exchange, request: TextRequest) -> dict[str, Any]:
    closing: dict[str, Any] = {"usage": _usage(exchange)} if request.include_usage else {}
    return {**closing, "metrics": _metrics(exchange)} if request.include_metrics else closing


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
        "system_fingerprint": exchange.fields.get("model_version"),
        "service_tier": None,
    }


def _usage(exchange: Exchange) -> dict[str, Any]:
    read, written = exchange.input_tokens or 0, exchange.output_tokens
    usage: dict[str, Any] = {"prompt_tokens": read, "completion_tokens": written, "total_tokens": read + written}
    cached = exchange.fields.get("cached_tokens")
    if cached is not None:
        usage["prompt_tokens_details"] = {"cached_tokens": cached}
    return usage


def _metrics(exchange: Exchange) -> dict[str, float | None]:
    """vLLM's words and meanings: time to first token counts from the turn, the wait for it stands beside it."""
    queue_s, prefill_s, tokens = exchange.queue_s, exchange.prefill_s, exchange.output_tokens
    first_s, last_s = exchange.first_token_s, exchange.last_token_s
    decode_s = last_s - first_s if first_s is not None and last_s is not None else None
    busy_s = prefill_s + decode_s if prefill_s is not None and decode_s is not None else 0.0
    return {
        "time_to_first_token_ms": _milliseconds(prefill_s),
        "generation_time_ms": _milliseconds(decode_s),
        "queue_time_ms": _milliseconds(queue_s),
        "mean_itl_ms": _milliseconds(decode_s / (tokens - 1)) if decode_s is not None and tokens > 1 else None,
        "tokens_per_second": round(tokens / busy_s, 3) if busy_s > 0 else None,
    }


def _milliseconds(seconds: float | None) -> float | None:
    return None if seconds is None else round(max(0.0, seconds) * 1000, 3)


def encoded(body: dict[str, Any]) -> bytes:
    """As JSON; what is no character becomes a question mark."""
    return _bytes(_encode(body))


async def _start(send: Send, status: int, headers: dict[str, str]) -> None:
    raw = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": status, "headers": raw})


def _around_text(template: dict[str, Any], shape: Shape) -> tuple[bytes, bytes]:
    """The event of a piece, before its text and after it: only the text differs from token to token."""
    text = "\0"
    before, _, after = _encode({**template, "choices": [shape.piece(text, None)]}).rpartition(_encode(text))
    return _bytes(f"data: {before}"), _bytes(f"{after}\n\n")


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "replace")


async def _event(send: Send, body: dict[str, Any]) -> None:
    await _chunk(send, b"data: " + encoded(body) + b"\n\n")


async def _chunk(send: Send, data: bytes) -> None:
    await send({"type": "http.response.body", "body": data, "more_body": True})
