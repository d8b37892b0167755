"""`llmops keys`: make a key for somebody, list who has one, take one back."""

from __future__ import annotations

import datetime
import json
import sys
import time
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from llmops.admission.keys import ApiKey, BadKeys, make_key
from llmops.keyfile import KeyFile
from llmops.state.files import sentence_of
from llmops.untrusted import spelled_out


def create(directory: Path, name: str, *, is_front_end: bool = False, as_json: bool) -> int:
    """Print the new key, this once, to standard output; 2 when it cannot be made."""
    try:
        key, text = make_key(name, time.time(), is_front_end=is_front_end)
        KeyFile(directory).add(key)
    except (BadKeys, OSError) as error:
        return _complain(error)
    if as_json:
        print(json.dumps({**_shown(key), "key": text}, indent=2))
        return 0
    print(text)
    note = f"This is the only time that the key of {name} (id {key.id}) is shown; only its hash is kept."
    print(f"{note}\nClients send it as `Authorization: Bearer {text[:3]}...`.", file=sys.stderr)
    return 0


def show(directory: Path, *, as_json: bool) -> int:
    """Print who has a key: id, name, when it was made, its last four characters."""
    try:
        keys = KeyFile(directory).read().keys
    except BadKeys as error:
        return _complain(error)
    if as_json:
        print(json.dumps([_shown(key) for key in keys], indent=2))
        return 0
    if not keys:
        print("No keys yet: `llmops keys create NAME` makes one.", file=sys.stderr)
        return 0
    table = Table("id", "name", "created", "key", "kind", box=None, pad_edge=False)
    for key in keys:
        table.add_row(*(escape(cell) for cell in (key.id, key.name, _created(key), f"lk-...{key.last4}", _kind(key))))
    Console(highlight=False).print(table)
    return 0


def revoke(directory: Path, key_id: str) -> int:
    """Take a key back; a running serve refuses it from its next request on. 1 when there is none of that id."""
    try:
        key = KeyFile(directory).remove(key_id)
    except (BadKeys, OSError) as error:
        return _complain(error)
    if key is None:
        print(f"llmops keys: no key has the id {key_id!r}; `llmops keys list` shows them.", file=sys.stderr)
        return 1
    print(f"The key of {key.name} (lk-...{key.last4}) opens nothing more.", file=sys.stderr)
    return 0


def _shown(key: ApiKey) -> dict[str, str]:
    return {
        "id": key.id,
        "name": key.name,
        "created_at": _created(key),
        "last4": key.last4,
        "kind": _kind(key),
    }


def _kind(key: ApiKey) -> str:
    return "front-end" if key.is_front_end else "user"


def _created(key: ApiKey) -> str:
    return datetime.datetime.fromtimestamp(key.created_at, datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _complain(error: Exception) -> int:
    told = sentence_of(error) if isinstance(error, OSError) else str(error)
    print(f"llmops keys: {spelled_out(told)}", file=sys.stderr)
    return 2
