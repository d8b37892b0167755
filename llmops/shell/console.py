"""Tables that need rich: those that are folded or stood upright to go into a terminal. It takes long to load."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

_WIDE = 2000
"""A file or a pipe has no width: no line is broken there."""


def console_for() -> Console:
    """Of standard output."""
    return Console(highlight=False, width=None if sys.stdout.isatty() else _WIDE)


def print_folded(
    console: Console, names: Sequence[str], rows: Iterable[Sequence[str]], *, right: Sequence[str] = ()
) -> None:
    """As a table whose cells go on in a second line where they must."""
    table = _table()
    for name in names:
        table.add_column(Text(name), justify="right" if name in right else "left", overflow="fold")
    for row in rows:
        table.add_row(*map(Text, row))
    console.print(table)


def print_upright(console: Console, names: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """One value a line."""
    for number, row in enumerate(rows, 1):
        table = _table(f"row {number}", "")
        for name, cell in zip(names, row, strict=True):
            table.add_row(Text(name), Text(cell))
        console.print(table)


def _table(*headers: str) -> Table:
    return Table(*headers, box=None, pad_edge=False, header_style="bold")
