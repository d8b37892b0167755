"""Rows as a table for people, as JSON and CSV for programs; what a user wrote stays a text in its cell."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Iterable, Sequence
from typing import Any, Literal, TypeAlias

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from llmops.untrusted import safe_line, spelled_out

Form: TypeAlias = Literal["table", "json", "csv"]

_FORMULA = ("=", "+", "-", "@", "＝", "＋", "－", "＠")
"""What a spreadsheet takes for the beginning of a formula (OWASP, CSV injection; full width ones as well)."""
_LONGEST_BYTES = 16
_WIDE = 2000
"""A file or a pipe has no width: no line is broken there."""
_MOST_COLUMNS = 10


def form_of(*, as_json: bool, as_csv: bool) -> Form:
    """What the flags ask for; CSV when both do."""
    return "csv" if as_csv else "json" if as_json else "table"


def console_for(needed: int = 0) -> Console:
    """Of standard output. A file or a pipe takes whole lines, of `needed` characters or more."""
    return Console(highlight=False, width=None if sys.stdout.isatty() else max(_WIDE, needed))


def print_table(columns: Sequence[str], rows: Iterable[Sequence[Any]], *, right: Sequence[str] = ()) -> None:
    """Aligned; `right` names the columns of numbers. What is too wide for a terminal goes one value a line."""
    names = [safe_line(name) for name in columns]
    cells = [[safe_line(shown(value)) for value in row] for row in rows]
    needed = sum(max(len(name), *(len(row[at]) for row in cells), 0) + 2 for at, name in enumerate(names))
    console = console_for(needed)
    if needed > console.width and len(names) > _MOST_COLUMNS:
        _print_upright(console, names, cells)
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in names:
        table.add_column(escape(name), justify="right" if name in right else "left", overflow="fold")
    for row in cells:
        table.add_row(*map(escape, row))
    console.print(table)


def _print_upright(console: Console, names: Sequence[str], cells: Iterable[Sequence[str]]) -> None:
    for number, row in enumerate(cells, 1):
        table = Table(f"row {number}", "", box=None, pad_edge=False, header_style="bold")
        for name, cell in zip(names, row, strict=True):
            table.add_row(escape(name), escape(cell))
        console.print(table)


def print_json(value: Any) -> None:
    """ASCII, so that no terminal takes a part of it for a command; bytes as hex, what is not finite as null."""
    print(json.dumps(_plain(value), indent=2))


def print_csv(rows: Iterable[Iterable[Any]]) -> None:
    """Every text in quotes, control characters spelled out, and a quote before what would be a formula."""
    writer = csv.writer(sys.stdout, quoting=csv.QUOTE_NONNUMERIC, lineterminator="\n")
    for row in rows:
        writer.writerow([_cell(value) for value in row])
    sys.stdout.flush()


def _cell(value: Any) -> Any:
    if value is None:
        return ""
    if isinstance(value, int | float):
        return value
    text = value.hex() if isinstance(value, bytes) else spelled_out(shown(value))
    return f"'{text}" if text.lstrip().startswith(_FORMULA) or str(value)[:1] in "\t\r\n" else text


def shown(value: Any) -> str:
    """One value as a person reads it."""
    if value is None:
        return "--"
    if isinstance(value, bytes):
        return value[:_LONGEST_BYTES].hex() + ("…" if len(value) > _LONGEST_BYTES else "")
    return f"{value:.6g}" if isinstance(value, float) and abs(value) < 1e6 else str(value)


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, float) and value - value != 0.0:
        return None
    return value
