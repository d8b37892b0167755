"""Reads what an upstream server sends: lists of models, chunks of an answer, errors; all of it is hostile."""

from __future__ import annotations

import dataclasses
import json
import re
from pathlib import PurePosixPath
from typing import Any

from llmops.engine.contract import FinishReason
from llmops.engine.errors import UpstreamFailed

_LONGEST_NAME = 256
_LARGEST_COUNT = 1 << 31
# Some servers give the moment of the answer as the moment when the model was made: that is no version.
_JUST_NOW_S = 3600.0
_INSIDE_AN_ANSWER = 500
"""The status of an error that came in the middle of an answer without one of its own."""
_LOCAL_PATH = re.compile(r"[./~]|[A-Za-z]:\\")


class Refused(Exception):
    """The upstream said no: an HTTP status, or an error in the middle of an answer.

    message: its own words, not cleaned, empty where it gave no JSON. parameter: the field that it complains about.
    """

    def __init__(
        self, status: int, message: str = "", code: str = "", parameter: str = "", retry_after_s: float | None = None
    ) -> None:
        super().__init__(f"{status} {code}")
        self.status = status
        self.message = message
        self.code = code
        self.parameter = parameter
        self.retry_after_s = retry_after_s


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One model of `/v1/models`. id: as the upstream wants it back."""

    id: str
    version: str | None = None
    max_model_len: int | None = None

    @property
    def public_name(self) -> str:
        """Clients see no path of the upstream's machine."""
        return _last_part(self.id)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Chunk:
    """A piece of an answer. says_token: it stands for something generated, shown or not (as reasoning is not)."""

    text: str = ""
    says_token: bool = False
    finish_reason: FinishReason | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    cached_tokens: int | None = None
    fingerprint: str | None = None


def read_rows(body: bytes, now: float) -> tuple[Row, ...]:
    """The models, those without a usable id left out. now: Unix seconds. Raises UpstreamFailed."""
    rows = _mapping(_json(body)).get("data")
    if not isinstance(rows, list):
        raise UpstreamFailed("The upstream answers something else than a list of models.")
    return tuple(_row(row, now) for row in map(_mapping, rows) if _name(row.get("id")))


def read_chunk(data: str) -> Chunk:
    """One data event of an answer. Raises Refused when it is an error, UpstreamFailed when it is nothing at all."""
    body = _json(data)
    if not isinstance(body, dict):
        raise UpstreamFailed("The upstream sent something in its answer that is no JSON object.")
    if body.get("error") or body.get("object") == "error":
        raise read_refusal(data.encode("utf-8", "replace"), _INSIDE_AN_ANSWER)
    choices, usage = body.get("choices"), _mapping(body.get("usage"))
    choice = _mapping(choices[0]) if isinstance(choices, list) and choices else {}
    delta = _mapping(choice.get("delta"))
    text = _text(choice.get("text")) or _text(delta.get("content"))
    hidden = (delta.get(name) for name in ("reasoning_content", "reasoning", "tool_calls", "refusal"))
    return Chunk(
        text=text,
        says_token=bool(text) or any(hidden),
        finish_reason=_finish_reason(choice.get("finish_reason")),
        input_tokens=_count(usage.get("prompt_tokens")),
        output_tokens=_count(usage.get("completion_tokens")),
        cached_tokens=_count(_mapping(usage.get("prompt_tokens_details")).get("cached_tokens")),
        fingerprint=_name(body.get("system_fingerprint")),
    )


def read_refusal(body: bytes, status: int, retry_after_s: float | None = None) -> Refused:
    """The error in a body: `{"error": {...}}`, `{"error": "..."}` (Ollama), `{"detail": ...}` (FastAPI), or none."""
    try:
        whole = _mapping(_json(body))
    except UpstreamFailed:
        return Refused(status, retry_after_s=retry_after_s)
    error = _mapping(whole.get("error")) or whole
    told = error.get("message") or whole.get("error") or whole.get("detail")
    code = error.get("code")
    if status == _INSIDE_AN_ANSWER and isinstance(code, int) and 400 <= code < 600:
        status = code
    elif status == _INSIDE_AN_ANSWER and error.get("type") == "invalid_request_error":
        status = 400
    return Refused(
        status,
        message=told if isinstance(told, str) else json.dumps(told)[:2_000] if told else "",
        code=f"{_text(code)} {_text(error.get('type'))}".strip(),
        parameter=_text(error.get("param")),
        retry_after_s=retry_after_s,
    )


def _row(row: dict[str, Any], now: float) -> Row:
    meta = _mapping(row.get("meta"))
    length = _count(row.get("max_model_len")) or _count(meta.get("n_ctx")) or _count(meta.get("n_ctx_train"))
    root = _name(row.get("root"))
    version = None if root in (None, row["id"]) else _last_part(str(root))
    created = _count(row.get("created"))
    if version is None and created and abs(now - created) > _JUST_NOW_S:
        version = str(created)
    return Row(id=row["id"], version=version, max_model_len=length or None)


def _last_part(name: str) -> str:
    """Of a path; hub names stay whole."""
    return PurePosixPath(name.replace("\\", "/")).name or name if _LOCAL_PATH.match(name) else name


def _finish_reason(value: object) -> FinishReason | None:
    """Whatever else a server calls it (tool_calls, content_filter, eos), the answer has stopped."""
    if not isinstance(value, str) or not value:
        return None
    return "length" if value == "length" else "stop"


def _json(text: str | bytes) -> object:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        raise UpstreamFailed("The upstream sent something that is no JSON.") from None


def _mapping(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _text(value: object) -> str:
    """Lone surrogates replaced: JSON may carry them, no answer of ours can."""
    return value.encode("utf-8", "replace").decode() if isinstance(value, str) else ""


def _name(value: object) -> str | None:
    """A name that may be written down: printable and not too long."""
    usable = isinstance(value, str) and 0 < len(value) <= _LONGEST_NAME and value.isprintable()
    return str(value) if usable else None


def _count(value: object) -> int | None:
    usable = isinstance(value, int) and not isinstance(value, bool) and 0 <= value < _LARGEST_COUNT
    return int(value) if usable and isinstance(value, int) else None
