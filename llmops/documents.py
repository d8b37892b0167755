"""Parses files that people and other programs hand over, within bounds of size, depth and time."""

from __future__ import annotations

import json
import reprlib
import tomllib
from pathlib import Path
from typing import Any

from llmops.state.files import FileTooLarge, read_bounded

MOST_TOML_BYTES = 1 << 20
"""Of settings or objectives: thousands of either."""
MOST_JSON_BYTES = 64 << 20
"""Of a model's files: a list of a million weights."""
_LONGEST_TOML_LINE = 4096
"""Characters; the time for a key with many dots grows with the square of its length."""
_SHOWN = reprlib.Repr()
_SHOWN.maxlevel, _SHOWN.maxstring, _SHOWN.maxother, _SHOWN.maxlong = 3, 200, 200, 200


class BadDocument(ValueError):
    """What is wrong with it, as the rest of a sentence about the file, as in `is not TOML: ...`."""


class TooLarge(BadDocument):
    """More bytes than such a document has."""


def load_toml(path: Path) -> dict[str, Any]:
    """Raises BadDocument, or OSError where the file cannot be read."""
    return parse_toml(text_of(path, MOST_TOML_BYTES))


def parse_toml(text: str) -> dict[str, Any]:
    """Raises BadDocument."""
    longest = max(enumerate(text.splitlines(), 1), key=lambda each: len(each[1]), default=(0, ""))
    if len(longest[1]) > _LONGEST_TOML_LINE:
        raise BadDocument(f"has more than {_LONGEST_TOML_LINE} characters in line {longest[0]}: write shorter lines")
    try:
        return tomllib.loads(text)
    except RecursionError:
        raise BadDocument("is not TOML that can be used: it is nested too deeply") from None
    except ValueError as error:  # TOMLDecodeError is one, and so is a number of too many digits
        raise BadDocument(f"is not TOML: {_first_line(error)}") from None


def load_json(path: Path, most_bytes: int = MOST_JSON_BYTES) -> Any:
    """Raises BadDocument, or OSError where the file cannot be read."""
    try:
        return json.loads(text_of(path, most_bytes))
    except BadDocument:
        raise
    except RecursionError:
        raise BadDocument("is not JSON that can be used: it is nested too deeply") from None
    except ValueError as error:
        raise BadDocument(f"is not JSON: {_first_line(error)}") from None


def text_of(path: Path, most_bytes: int) -> str:
    """A file of UTF-8. Raises BadDocument, or OSError where the file cannot be read."""
    try:
        return read_bounded(path, most_bytes=most_bytes).decode("utf-8")
    except FileTooLarge:
        raise TooLarge(f"is larger than {most_bytes >> 20} MiB") from None
    except UnicodeDecodeError:
        raise BadDocument("is not UTF-8") from None


def shown(value: object) -> str:
    """`repr` of what a document holds, of bounded length, depth and time."""
    try:
        return _SHOWN.repr(value)
    except (ValueError, RecursionError):  # a number of too many digits
        return "a value that is too large to show"


def _first_line(error: ValueError) -> str:
    return str(error).partition("\n")[0][:200]
