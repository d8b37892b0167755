"""The stack's `.env`: every password made once, kept for its owner alone, and never changed afterwards."""

from __future__ import annotations

import os
import re
import secrets
from collections.abc import Callable, Mapping
from pathlib import Path

SECRETS = ("ELASTIC_PASSWORD", "KIBANA_PASSWORD", "KIBANA_ENCRYPTION_KEY")
_PLAIN = re.compile(r"[\w./@+-]*", re.ASCII)
_SECRET_BYTES = 24
"""192 bits; as hex it needs no quoting anywhere, and is longer than the 32 characters that Kibana asks of its key."""


def new_secret() -> str:
    """48 hex digits that nobody can guess."""
    return secrets.token_hex(_SECRET_BYTES)


def read(path: Path) -> dict[str, str]:
    """Name -> value of the file as compose reads it: the last of a name counts, quotes are not part of the value."""
    if not path.exists():
        return {}
    lines = (line.strip() for line in path.read_text(encoding="utf-8").splitlines())
    pairs = (line.removeprefix("export ").split("=", 1) for line in lines if "=" in line and not line.startswith("#"))
    return {name.strip(): value.strip().strip("'\"") for name, value in pairs}


def complete(path: Path, given: Mapping[str, str], new: Callable[[], str] = new_secret) -> list[str]:
    """Add what is missing: the given values, and a new secret for each of SECRETS. Gives the names that were added.

    What stands there stays, to the byte: a password that the data volume was made with cannot be made again.
    The file is replaced in one step and is its owner's alone (0600), also where it was not before.
    """
    there = read(path)
    wanted = {**given, **{name: new() for name in SECRETS}}
    missing = {name: value for name, value in wanted.items() if not there.get(name)}
    text = (
        path.read_text(encoding="utf-8")
        if path.exists()
        else "# Made by `llmops elk up`. Keep it: it opens the data.\n"
    )
    if text and not text.endswith("\n"):
        text += "\n"
    text += "".join(f"{name}={_quoted(value)}\n" for name, value in missing.items())
    _replace(path, text)
    return list(missing)


def _quoted(value: str) -> str:
    """As it stands where compose reads it so; else in single quotes, in which nothing has a meaning."""
    return value if _PLAIN.fullmatch(value) or "'" in value else f"'{value}'"


def _replace(path: Path, text: str) -> None:
    fresh = path.with_name(f"{path.name}.{os.getpid()}.new")
    fresh.unlink(missing_ok=True)
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)
