"""A document as one line of the journal."""

from __future__ import annotations

import json

from llmops.events.names import Document

_dump = json.JSONEncoder(ensure_ascii=True, allow_nan=False, separators=(",", ":")).encode


def line_of(document: Document) -> bytes:
    """Compact ASCII JSON with its line end. Raises ValueError or TypeError for what JSON cannot say."""
    text = _dump(document)
    if "\\ud" in text:  # perhaps a lone surrogate, which no database takes
        text = _dump({_paired(key): _all_paired(value) for key, value in document.items()})
    return text.encode("ascii") + b"\n"


def _all_paired(value: object) -> object:
    if isinstance(value, str):
        return _paired(value)
    return [_all_paired(item) for item in value] if isinstance(value, list | tuple) else value


def _paired(text: str) -> str:
    """`text` with its lone surrogates replaced by U+FFFD."""
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
