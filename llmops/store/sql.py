"""SQL that a person wrote, over a file that it can only read: bounded in rows, in time and in what it may touch."""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import sqlite3
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from llmops.store.opening import open_reader

TABLES = ("requests", "samples", "alerts", "benchmarks", "rollup", "usage", "event", "journal", "pruned")
"""What docs/store.md describes."""
_STEPS_BETWEEN_LOOKS = 10_000
_LARGEST_VALUE_BYTES = 16 << 20
_LARGEST_ANSWER_BYTES = 256 << 20
_VALUE_BYTES = 64
"""What a value takes in Python beside its characters, at least."""
_ALLOWED = (sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_FUNCTION, sqlite3.SQLITE_RECURSIVE)


class BadQuery(Exception):
    """The question can't be answered; `str(error)` is one sentence that says why and what to do."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """Names and values of an answer; `more` when it was cut at the limit."""

    columns: tuple[str, ...]
    rows: list[tuple[Any, ...]]
    more: bool


def run_query(path: Path, question: str, *, limit: int, limit_s: float) -> Table:
    """At most `limit` rows of one SELECT, within `limit_s` seconds. Raises BadQuery and StoreUnreadable.

    Ctrl-C comes into the progress handler, where SQLite takes it for a yes: KeyboardInterrupt is raised anew.
    The file is opened for reading, and an authorizer refuses everything but reading: no PRAGMA, no ATTACH, no function
    that leaves the database.
    """
    with contextlib.closing(open_reader(path)) as connection:
        connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, _LARGEST_VALUE_BYTES)
        connection.set_authorizer(_may)
        deadline = time.monotonic() + limit_s
        connection.set_progress_handler(lambda: time.monotonic() > deadline, _STEPS_BETWEEN_LOOKS)
        try:
            cursor = connection.execute(question)
            if cursor.description is None:
                raise BadQuery("There is no question: write a SELECT.")
            rows = _bounded(itertools.islice(cursor, limit + 1))
        except (sqlite3.Error, sqlite3.Warning, ValueError, OverflowError) as error:
            if "interrupted" in str(error) and time.monotonic() < deadline:
                raise KeyboardInterrupt from None
            raise BadQuery(_sentence(error, limit_s)) from error
        return Table(columns=tuple(name for name, *_ in cursor.description), rows=rows[:limit], more=len(rows) > limit)


def _bounded(rows: Iterable[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    """All of them, in memory. Raises BadQuery before they fill it."""
    kept, size_bytes = [], 0
    for row in rows:
        size_bytes += _VALUE_BYTES * len(row) + sum(len(value) for value in row if isinstance(value, str | bytes))
        if size_bytes > _LARGEST_ANSWER_BYTES:
            most = f"{_LARGEST_ANSWER_BYTES >> 20} MiB"
            raise BadQuery(f"The answer is larger than {most}: ask for fewer columns, or for fewer rows with --limit.")
        kept.append(row)
    return kept


def _may(action: int, name: str | None, *_: str | None) -> int:
    return sqlite3.SQLITE_OK if action in _ALLOWED else sqlite3.SQLITE_DENY


def _sentence(error: Exception, limit_s: float) -> str:
    told = str(error)
    if "interrupted" in told:
        return f"The query took longer than {limit_s:g} s: narrow it, as with WHERE at > unixepoch() - 3600."
    if "not authorized" in told or "authorization denied" in told or "prohibited" in told:
        return "A query only reads (not authorized): write a SELECT."
    if "one statement at a time" in told:
        return "A query is one SELECT: leave out what follows the semicolon."
    if "no such table" in told:
        return f"The query cannot be run: {told}; there are {', '.join(TABLES)}."
    return f"The query cannot be run: {told}."
