"""Tables that need rich: those that are folded or stood upright to go into a terminal. It takes long to load."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

_WIDE = 2000
"""A file or a pipe has no width: no line is broken there."""
_SHORT = 16
"""Characters of a number, a unit, a word: torn apart they are hard to read."""
_LEAST = 8
"""That a longer one is given a line."""
_MOST_COLUMNS = 10


def console_for() -> Console:
    """Of standard output."""
    return Console(highlight=False, width=None if sys.stdout.isatty() else _WIDE)


def print_narrow(
    names: Sequence[str], rows: Sequence[Sequence[str]], widths: Sequence[int], right: Sequence[str]
) -> None:
    """Long cells go on in a second line; where that is not enough, or there are many columns, each value has a line.

    widths: of the columns, in cells of the terminal. right: names of the columns of numbers.
    """
    console = console_for()
    least = sum((width if width <= _SHORT else _LEAST) + 1 for width in widths)
    if len(names) > _MOST_COLUMNS or least > console.width:
        _print_upright(console, names, rows)
        return
    table = _table(gap=1)
    for name, width in zip(names, widths, strict=True):
        whole = width if width <= _SHORT else None
        table.add_column(Text(name), justify="right" if name in right else "left", overflow="fold", width=whole)
    for row in rows:
        table.add_row(*map(Text, row))
    console.print(table)


def _print_upright(console: Console, names: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    for number, row in enumerate(rows, 1):
        table = _table(f"row {number}", "")
        for name, cell in zip(names, row, strict=True):
            table.add_row(Text(name), Text(cell))
        console.print(table)


def _table(*headers: str, gap: int = 2) -> Table:
    return Table(*headers, box=None, pad_edge=False, padding=(0, gap, 0, 0), header_style="bold")
