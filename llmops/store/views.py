"""Views for people who ask in SQL: a row of columns for each event, named as in Python, with units."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping

from llmops.events import AlertEvent, BenchmarkEvent, SampleEvent
from llmops.events.names import fields_of
from llmops.store.columns import REQUEST, ROW_COLUMNS

_TIME = "strftime('%Y-%m-%dT%H:%M:%fZ', at, 'unixepoch') AS time"
_DOCUMENTS: Mapping[str, type[SampleEvent | AlertEvent | BenchmarkEvent]] = {
    "samples": SampleEvent,
    "alerts": AlertEvent,
    "benchmarks": BenchmarkEvent,
}


def renew_views(connection: sqlite3.Connection) -> None:
    """They follow the fields of the events, so they are no part of the layout: the writer makes them when it opens."""
    known = dict(connection.execute("SELECT name, sql FROM sqlite_master WHERE type = 'view'"))
    for name, text in _views():
        if known.get(name) != text:
            connection.execute(f"DROP VIEW IF EXISTS {name}")
            connection.execute(text)


def _views() -> Iterator[tuple[str, str]]:
    yield "requests", _view("requests", REQUEST, ROW_COLUMNS.removeprefix("at, "))
    for name, event_type in _DOCUMENTS.items():
        fields = (
            f"json_extract(body, '$.\"{field}\"') AS {attribute}"
            for attribute, (field, _) in fields_of(event_type).items()
        )
        yield name, _view(name, event_type.dataset, "event_id, " + ", ".join(fields))


def _view(name: str, dataset: str, columns: str) -> str:
    valid = " AND json_valid(body)" if "json_extract" in columns else ""
    return f"CREATE VIEW {name} AS SELECT {_TIME}, at, {columns}, body FROM event WHERE dataset = '{dataset}'{valid}"  # noqa: S608
