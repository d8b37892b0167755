"""How large a request may be, whole or as far as it has come: as the slug and the sentence of a refusal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

from llmops.api.connection_table import ConnectionLimits

Refusal: TypeAlias = tuple[str, str]
"""(slug, sentence)"""

PIECE_BYTES = 32 << 10
"""Bytes that are parsed before the bounds are looked at again."""
MAX_REQUEST_LINE_BYTES = 8 << 10
_FRAMES_OF_A_BODY = 8
"""A chunk of one byte has six bytes on the wire."""


def head_refusal(
    limits: ConnectionLimits, target: bytes, headers: Sequence[tuple[bytes, bytes]], received_bytes: int
) -> Refusal | None:
    """Of a whole head. received_bytes: at least its size; one far below the bound is not counted exactly."""
    if len(headers) > limits.max_headers:
        return "headers_too_large", f"There are more than {limits.max_headers} headers: send fewer."
    if len(target) > MAX_REQUEST_LINE_BYTES:
        return _line()
    if received_bytes <= limits.max_header_bytes:
        return None
    size = len(target) + sum(len(name) + len(value) + 4 for name, value in headers)
    return _headers(limits) if size > limits.max_header_bytes else None


def part_refusal(limits: ConnectionLimits, target: bytes, received_bytes: int, *, has_headers: bool) -> Refusal | None:
    """Of a head without an end so far."""
    if len(target) <= MAX_REQUEST_LINE_BYTES and received_bytes <= limits.max_header_bytes:
        return None
    return _headers(limits) if has_headers and len(target) <= MAX_REQUEST_LINE_BYTES else _line()


def body_refusal(limits: ConnectionLimits, framing_bytes: int, received_bytes: int) -> Refusal | None:
    """Of a body without an end so far, whether or not its route reads it. framing_bytes: since the last byte of it."""
    if framing_bytes <= limits.max_header_bytes + PIECE_BYTES and received_bytes <= wire_bytes(limits) + PIECE_BYTES:
        return None
    return "too_large", f"The body is larger than {limits.max_body_bytes} bytes, or its chunks are: send less."


def wire_bytes(limits: ConnectionLimits) -> int:
    """The most that the largest body takes on the wire."""
    return _FRAMES_OF_A_BODY * limits.max_body_bytes


def _line() -> Refusal:
    return "uri_too_long", f"The request line is longer than {MAX_REQUEST_LINE_BYTES} bytes: send less."


def _headers(limits: ConnectionLimits) -> Refusal:
    return "headers_too_large", f"The headers are longer than {limits.max_header_bytes} bytes: send less."
