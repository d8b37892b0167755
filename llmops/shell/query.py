"""`llmops query`: SQL over the record, read only."""

from __future__ import annotations

import collections
import sys
from collections.abc import Sequence

from llmops.settings import Settings
from llmops.shell.tabular import Form, print_csv, print_json, print_table
from llmops.store.errors import StoreUnreadable
from llmops.store.sql import BadQuery, run_query
from llmops.untrusted import spelled_out


def run(settings: Settings, question: str, *, form: Form, limit: int, limit_s: float) -> int:
    """Print the answer; 2 when there is none, 130 when the person stopped it."""
    try:
        found = run_query(settings.state.store, question, limit=limit, limit_s=limit_s)
    except (BadQuery, StoreUnreadable) as error:
        print(f"llmops query: {spelled_out(str(error))}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    if form == "json":
        names = _distinct(found.columns)
        print_json([dict(zip(names, row, strict=True)) for row in found.rows])
    elif form == "csv":
        print_csv([found.columns, *found.rows])
    else:
        print_table(found.columns, found.rows)
    if found.more:
        print(f"Cut at {limit} rows: --limit takes more.", file=sys.stderr)
    return 0


def _distinct(columns: Sequence[str]) -> list[str]:
    """Names of an object's keys: the second column of a name gets a number, so that none hides another."""
    times: collections.Counter[str] = collections.Counter()
    names: list[str] = []
    for column in columns:
        times[column] += 1
        names.append(column if times[column] == 1 else f"{column}:{times[column]}")
    return names
