"""`llmops requests`: which requests there were, filtered, once or as they come."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from llmops.admission.identity import hash_user
from llmops.events.names import timestamp
from llmops.settings import Settings
from llmops.shell.tabular import Form, print_csv, print_json, print_table
from llmops.store.conditions import Comparison, Condition, Every, Not, Some
from llmops.store.contract import Questions, RequestRow
from llmops.store.errors import StoreUnreadable
from llmops.store.filtering import BadFilter, moment, read_filter
from llmops.store.sqlite import open_store
from llmops.untrusted import safe_line, spelled_out

POLL_S = 0.5
LATE_S = 60.0
"""An event that is recorded so long after it happened still shows up while following."""
_PAGE = 1000
_COLUMNS = tuple(field.name for field in dataclasses.fields(RequestRow))
_HEADS = ("time (UTC)", "id", "user", "model", "outcome", "latency", "ttft", "tokens")
_NUMBERS = ("latency", "ttft", "tokens")
_WIDTHS = (14, 32, 12, 14, 14, 9, 9, 10)
"""While following; what is longer, as an id that a client chose, is shown whole all the same."""


def run(settings: Settings, text: str | None, *, since: str | None, limit: int, form: Form, follow: bool) -> int:
    """Print them, newest first; while following oldest first, as they come. 2 for a bad filter or without a record."""
    try:
        where = condition_of(text, since, time.time(), settings.state.user_key)
        with contextlib.closing(open_store(settings.state.store, read_only=True)) as store:
            if follow:
                _follow(store, where, limit, form)
            else:
                _print(store.requests(limit=limit, where=where), form)
    except (BadFilter, StoreUnreadable) as error:
        print(f"llmops requests: {spelled_out(str(error))}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        pass
    except BrokenPipeError:  # as with `| head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0


def condition_of(text: str | None, since: str | None, now: float, user_key: Path) -> Condition:
    """What --since and the filter ask for together. Raises BadFilter."""
    parts: list[Condition] = []
    if since is not None:
        begin = moment(since, now)
        if begin is None:
            raise BadFilter(f"--since {since} is no moment: write 2h, 7d, or 2026-01-31T12:00Z.")
        parts.append(Comparison("at", ">=", begin))
    if text is not None:
        parts.append(_known(read_filter(text, now), user_key))
    return Every(tuple(parts))


def _known(condition: Condition, user_key: Path) -> Condition:
    """A user is asked for by name, and recorded as a keyed hash: either is meant."""
    if isinstance(condition, Every):
        return Every(tuple(_known(part, user_key) for part in condition.parts))
    if isinstance(condition, Some):
        return Some(tuple(_known(part, user_key) for part in condition.parts))
    if isinstance(condition, Not):
        return Not(_known(condition.part, user_key))
    if condition.name != "user" or condition.operator == "~" or not user_key.exists():
        return condition
    try:
        key = user_key.read_bytes()
    except OSError as error:
        raise BadFilter(f"A user can't be looked up: {user_key} can't be read ({error.strerror}).") from None
    hashed = Comparison("user", condition.operator, hash_user(key, str(condition.value)))
    return (Some if condition.operator == "=" else Every)((condition, hashed))


def _print(rows: list[RequestRow], form: Form) -> None:
    if form == "json":
        print_json([_object(row) for row in rows])
    elif form == "csv":
        print_csv([_COLUMNS, *(_object(row).values() for row in rows)])
    elif rows:
        print_table(_HEADS, map(_cells, rows), right=_NUMBERS)
    else:
        print("No such requests.", file=sys.stderr)


def _object(row: RequestRow) -> dict[str, Any]:
    return dataclasses.asdict(row) | {"at": timestamp(row.at)}


def _cells(row: RequestRow) -> tuple[str, ...]:
    became = row.outcome if row.outcome != "failure" else row.error_type or "failure"
    return (
        timestamp(row.at)[5:19].replace("T", " "),
        row.request_id,
        safe_line(row.user or "--", 12),
        safe_line(row.model or "--", 14),
        became,
        f"{row.duration_s:.3f} s",
        "--" if row.ttft_s is None else f"{row.ttft_s:.3f} s",
        f"{row.input_tokens or 0}+{row.output_tokens or 0}",
    )


def _follow(store: Questions, where: Condition, limit: int, form: Form) -> None:
    """One line for each, until interrupted."""
    if form == "csv":
        print_csv([_COLUMNS])
    for row in newcomers(store, where, limit, lambda: time.sleep(POLL_S)):
        if form == "json":
            print(json.dumps(_object(row)), flush=True)
        elif form == "csv":
            print_csv([_object(row).values()])
        else:
            cells = (safe_line(cell).ljust(width) for cell, width in zip(_cells(row), _WIDTHS, strict=True))
            print(" ".join(cells).rstrip(), flush=True)


def newcomers(store: Questions, where: Condition, limit: int, wait: Callable[[], None]) -> Iterator[RequestRow]:
    """The latest `limit`, then each that is recorded, late ones too; oldest first, without end."""
    newest = max((row.at for row in store.requests(limit=1, where=where)), default=None)
    known = [] if newest is None else _recent(store, where, newest)
    shown = store.requests(limit=limit, where=where)  # asked after: what came between is shown, not taken for known
    yield from reversed(shown)
    seen = {row.event_id: row.at for row in (*known, *shown)}
    while True:
        wait()
        fresh = [row for row in _recent(store, where, newest) if row.event_id not in seen]
        yield from reversed(fresh)
        newest = max([row.at for row in fresh] + ([] if newest is None else [newest]), default=None)
        seen |= {row.event_id: row.at for row in fresh}
        seen = {event_id: at for event_id, at in seen.items() if newest is None or at >= newest - LATE_S}


def _recent(store: Questions, where: Condition, newest: float | None) -> list[RequestRow]:
    """All that may be new: no older than a little before the newest one known."""
    recent = where if newest is None else Every((where, Comparison("at", ">=", newest - LATE_S)))
    limit = _PAGE
    while len(rows := store.requests(limit=limit, where=recent)) == limit:
        limit *= 2
    return rows
