"""The stack's `.env`: every password made once, kept for its owner alone, and never changed afterwards."""

from __future__ import annotations

import io
import os
import re
import secrets
from collections.abc import Callable, Mapping
from pathlib import Path

from dotenv.parser import Binding, parse_stream

from llmops.elastic.stack.errors import EnvironmentProblem

SECRETS = ("ELASTIC_PASSWORD", "KIBANA_PASSWORD", "KIBANA_ENCRYPTION_KEY")
_PLAIN = re.compile(r"[\w./@+-]*", re.ASCII)
_SECRET_BYTES = 24
"""192 bits; as hex it needs no quoting anywhere, and is longer than the 32 characters that Kibana asks of its key."""

_LONG_ENOUGH = {"ELASTIC_PASSWORD": 6, "KIBANA_PASSWORD": 6, "KIBANA_ENCRYPTION_KEY": 32}
"""Characters; fewer are refused by Elasticsearch and by Kibana."""
_HARMLESS = re.compile(r"[!-~]*")
_SPECIAL = frozenset("\"'\\$#`")
"""Compose, JSON or curl would read more into these than a character."""
_VERSION = re.compile(r"9\.(\d{1,3})\.\d{1,3}", re.ASCII)
_OLDEST_MINOR = 5
"""Kibana has the Dashboards API since 9.5."""
_PORTS = ("ELASTICSEARCH_PORT", "KIBANA_PORT")


def new_secret() -> str:
    """48 hex digits that nobody can guess."""
    return secrets.token_hex(_SECRET_BYTES)


def read(path: Path) -> dict[str, str]:
    """Name -> value of the file as compose reads it: the last of a name counts, quotes are not part of the value."""
    return {binding.key: binding.value or "" for binding in _bindings(path) if binding.key is not None}


def check(path: Path) -> None:
    """Raises EnvironmentProblem where compose could not read it, or the stack could not use what it says.

    Compose would quote the line, and what stands in it may be a secret: this names its number only.
    """
    for binding in _bindings(path):
        if binding.error or "\0" in binding.original.string:
            where = f"Line {_line_of(binding)} of {path}"
            raise EnvironmentProblem(f"{where} is no NAME=value: mend it, or put # before it.")
    known = read(path)
    for name in SECRETS:
        _check_secret(name, known.get(name, ""))
    for name in _PORTS:
        value = known.get(name, "")
        if value and not (value.isascii() and value.isdigit() and 0 < int(value) < 65536):
            raise EnvironmentProblem(f"{name} in .env is {value!r}: it must be a number from 1 to 65535.")
    version = known.get("STACK_VERSION", "")
    found = _VERSION.fullmatch(version)
    if version and (found is None or int(found[1]) < _OLDEST_MINOR):
        raise EnvironmentProblem(f"STACK_VERSION in .env is {version!r}: it must be 9.5.0 or a newer 9.x, as in 9.5.4.")


def _check_secret(name: str, value: str) -> None:
    if not value:
        return
    if not _HARMLESS.fullmatch(value) or _SPECIAL & set(value):
        raise EnvironmentProblem(
            f"{name} in .env has a character that not every part reads alike: use letters, digits and . / @ + - _."
        )
    if len(value) < _LONG_ENOUGH[name]:
        raise EnvironmentProblem(f"{name} in .env is too short: it needs {_LONG_ENOUGH[name]} characters.")


def _bindings(path: Path) -> list[Binding]:
    return list(parse_stream(io.StringIO(_text_of(path))))


def _line_of(binding: Binding) -> int:
    """Where it begins: empty lines before it count as its own."""
    text = binding.original.string
    return binding.original.line + text[: len(text) - len(text.lstrip())].count("\n")


def _text_of(path: Path) -> str:
    """Empty where there is none. Raises EnvironmentProblem, and OSError."""
    if not path.exists():
        return ""
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise EnvironmentProblem(f"{path} is damaged: it is no UTF-8 text. Bring it back; it opens the data.") from None


def complete(path: Path, given: Mapping[str, str], new: Callable[[], str] = new_secret) -> list[str]:
    """Add what is missing: the given values, and a new secret for each of SECRETS. Gives the names that were added.

    What stands there stays, to the byte: a password that the data volume was made with cannot be made again.
    The file is replaced in one step and is its owner's alone (0600), also where it was not before.
    """
    there = read(path)
    wanted = {**given, **{name: new() for name in SECRETS}}
    missing = {name: value for name, value in wanted.items() if not there.get(name)}
    text = _text_of(path) if path.exists() else "# Made by `llmops elk up`. Keep it: it opens the data.\n"
    if text and not text.endswith("\n"):
        text += "\n"
    text += "".join(f"{name}={_quoted(value)}\n" for name, value in missing.items())
    _replace(path.resolve(), text)  # a link goes on leading where it led
    return list(missing)


def _quoted(value: str) -> str:
    """As it stands where compose reads it so; else in single quotes, in which nothing has a meaning.

    Raises EnvironmentProblem for what no quotes can hold, or what a volume can't be called.
    """
    if _PLAIN.fullmatch(value):
        return value
    if not value.isprintable() or set(value) & set("'\":\\"):
        sentence = (
            f"The containers can't be given {value}: take a state directory without quotes, colons and backslashes."
        )
        raise EnvironmentProblem(sentence)
    return f"'{value}'"


def _replace(path: Path, text: str) -> None:
    fresh = path.with_name(f"{path.name}.{os.getpid()}.new")
    fresh.unlink(missing_ok=True)
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)
