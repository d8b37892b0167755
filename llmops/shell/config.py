"""`llmops config show`: each dial, its value, and where it came from."""

from __future__ import annotations

import json

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from llmops.settings import Loaded


def show(loaded: Loaded, *, as_json: bool) -> int:
    """Print every dial."""
    rows = list(loaded.rows())
    if as_json:
        print(json.dumps({name: {"value": value, "from": origin} for name, value, origin, _ in rows}, indent=2))
        return 0
    table = Table("dial", "value", "from", "what it is", box=None, pad_edge=False)
    for name, value, origin, text in rows:
        style = "" if origin == "default" else "bold"
        table.add_row(*(escape(cell) for cell in (name, value or "--", origin, text)), style=style)
    Console().print(table)
    return 0
