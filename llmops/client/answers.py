"""Reads what serve sends: snapshots, lists of models, chunks of a chat and errors; all of it untrusted."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Mapping
from typing import Any

import httpx
from pydantic import TypeAdapter, ValidationError

from llmops.client.errors import RequestRefused, ServeUnreachable
from llmops.events.snapshot import ServeSnapshot

# Unknown keys are ignored: an older client may look at a newer serve.
_snapshots = TypeAdapter(ServeSnapshot)

_LONGEST_MESSAGE = 500  # characters of an error body that is not ours, such as a proxy's HTML page


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ServedModel:
    """One model of `/v1/models`. root: what it was loaded from; defaults: what applies where a request does not say."""

    id: str
    root: str | None = None
    max_model_len: int | None = None
    defaults: Mapping[str, float] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ChatChunk:
    """A piece of an answer. received_at: this process's monotonic clock, in seconds.

    The first chunk may be empty (only the role), the last one carries the token counts and no text.
    """

    text: str
    received_at: float
    request_id: str | None = None
    finish_reason: str | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None


def read_snapshot(url: str, response: httpx.Response) -> ServeSnapshot:
    """The snapshot in a response. Raises RequestRefused, or ServeUnreachable when something else answers there."""
    if response.status_code != httpx.codes.OK:
        if response.status_code == httpx.codes.NOT_FOUND:
            raise ServeUnreachable(url, "another server answers there")
        raise refusal_of(response)
    try:
        return _snapshots.validate_json(response.content)
    except ValidationError:
        raise ServeUnreachable(url, "another server answers there") from None


def read_models(url: str, response: httpx.Response) -> tuple[ServedModel, ...]:
    """The models in a response, those without an id left out."""
    if response.status_code != httpx.codes.OK:
        raise refusal_of(response)
    body = object_of(response.text)
    rows = body.get("data")
    if not isinstance(rows, list):
        raise ServeUnreachable(url, "another server answers there")
    return tuple(
        ServedModel(
            id=row["id"],
            root=_text(row.get("root")),
            max_model_len=_count(row.get("max_model_len")),
            defaults=_numbers(row.get("defaults")),
        )
        for row in rows
        if isinstance(row, dict) and isinstance(row.get("id"), str)
    )


def read_chunk(data: str, request_id: str | None, received_at: float) -> ChatChunk:
    """One data event of a chat stream. Raises RequestRefused when it is an error."""
    body = object_of(data)
    if "error" in body:
        raise refusal_in(body, status=_count(_mapping(body["error"]).get("status")) or 500)
    choices = body.get("choices")
    choice = _mapping(choices[0]) if isinstance(choices, list) and choices else {}
    usage = _mapping(body.get("usage"))
    return ChatChunk(
        text=_text(_mapping(choice.get("delta")).get("content")) or "",
        received_at=received_at,
        request_id=request_id,
        finish_reason=_text(choice.get("finish_reason")),
        input_tokens=_count(usage.get("prompt_tokens")),
        output_tokens=_count(usage.get("completion_tokens")),
    )


def refusal_of(response: httpx.Response) -> RequestRefused:
    """The refusal that an error response tells of; a body that is not ours is quoted, shortened."""
    retry_after_s = _seconds(response.headers.get("retry-after"))
    body = object_of(response.text)
    if "error" in body:
        return refusal_in(body, response.status_code, retry_after_s)
    message = response.text.strip()[:_LONGEST_MESSAGE] or response.reason_phrase or "refused without a word"
    return RequestRefused(response.status_code, "_OTHER", message, retry_after_s)


def refusal_in(body: dict[str, Any], status: int, retry_after_s: float | None = None) -> RequestRefused:
    """The refusal in an error body, `{"error": {message, type, param, code}}`."""
    error = _mapping(body["error"])
    code = _text(error.get("code")) or _text(error.get("type")) or "_OTHER"
    return RequestRefused(status, code, _text(error.get("message")) or code, retry_after_s)


def object_of(text: str) -> dict[str, Any]:
    """The JSON object in `text`, empty when it is none."""
    try:
        return _mapping(json.loads(text))
    except (ValueError, RecursionError):
        return {}


def _mapping(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _text(value: object) -> str | None:
    """The string, with lone surrogates replaced: JSON may carry them, no terminal can print them."""
    return value.encode("utf-8", "replace").decode() if isinstance(value, str) else None


def _numbers(value: object) -> dict[str, float]:
    found = {name: number for name, number in _mapping(value).items() if isinstance(number, int | float)}
    return {name: number for name, number in found.items() if not isinstance(number, bool) and math.isfinite(number)}


def _count(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


def _seconds(text: str | None) -> float | None:
    try:
        seconds = float(text or "")
    except ValueError:
        return None
    return seconds if math.isfinite(seconds) and seconds >= 0 else None
