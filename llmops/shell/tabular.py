"""Rows as a table for people, as JSON and CSV for programs; what a user wrote stays a text in its cell."""

from __future__ import annotations

import csv
import json
import os
import shutil
import sys
from collections.abc import Iterable, Sequence
from typing import Any, Literal, TypeAlias

from rich.cells import cell_len

from llmops.untrusted import safe_line, spelled_out

Form: TypeAlias = Literal["table", "json", "csv"]

_FORMULA = ("=", "+", "-", "@", "＝", "＋", "－", "＠")
"""What a spreadsheet takes for the beginning of a formula (OWASP, CSV injection; full width ones as well)."""
_LONGEST_BYTES = 16
_GAP = "  "
_BOLD, _PLAIN = "\x1b[1m", "\x1b[0m"
"""Select Graphic Rendition, ECMA-48 8.3.117."""


def form_of(*, as_json: bool, as_csv: bool) -> Form:
    """What the flags ask for; CSV when both do."""
    return "csv" if as_csv else "json" if as_json else "table"


def print_table(columns: Sequence[str], rows: Iterable[Sequence[Any]], *, right: Sequence[str] = ()) -> None:
    """Aligned; `right` names the columns of numbers. What a terminal is too narrow for is folded, or upright."""
    names = [safe_line(name) for name in columns]
    cells = [[safe_line(shown(value)) for value in row] for row in rows]
    widths = [max(map(cell_len, column)) for column in zip(names, *cells, strict=True)]
    needed = sum(widths) + len(_GAP) * (len(names) - 1)
    if not sys.stdout.isatty() or needed <= shutil.get_terminal_size().columns:
        _print_aligned(names, cells, widths, right)
        return
    from llmops.shell.console import print_narrow

    print_narrow(names, cells, widths, right)


def _print_aligned(
    names: Sequence[str], rows: Iterable[Sequence[str]], widths: Sequence[int], right: Sequence[str]
) -> None:
    """By hand: rich takes longer to load and lay out fifty rows than all that `llmops fit` computes."""
    lines = []
    for row in (names, *rows):
        padded = []
        for name, cell, width in zip(names, row, widths, strict=True):
            blank = " " * (width - cell_len(cell))
            padded.append(blank + cell if name in right else cell + blank)
        lines.append(_GAP.join(padded).rstrip())
    if sys.stdout.isatty() and os.environ.get("TERM") != "dumb":
        lines[0] = f"{_BOLD}{lines[0]}{_PLAIN}"
    for line in lines:
        print(line)


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
