"""Verbs that read the record: requests, query."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from llmops.cli.flags import AsJson, State, load_dials

app = typer.Typer()

MOST_ROWS = 1_000_000
"""Whoever wants more reads the SQLite file itself, which can be done while it is written."""

AsCsv = Annotated[bool, typer.Option("--csv", help="Print CSV, safe to open in a spreadsheet.")]


@app.command()
def requests(
    what: Annotated[
        str | None,
        typer.Argument(metavar="[FILTER | show ID]", help="As in 'latency>3s & user=ann & outcome=failure'."),
    ] = None,
    request_id: Annotated[str | None, typer.Argument(hidden=True)] = None,
    since: Annotated[str | None, typer.Option(help="Not before: 2h ago, 7d ago, or 2026-01-31T12:00Z.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=MOST_ROWS, help="At most so many.")] = 50,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on with each that comes.")] = False,
    as_json: AsJson = False,
    as_csv: AsCsv = False,
    state: State = None,
) -> None:
    """The latest requests, filtered; with `show ID` one of them in full, and what the hardware did meanwhile.

    Names: latency, ttft, tpot, queue (3s, 250ms), user, model, version, outcome, error, finish, id (= != ~), status,
    tokens_in, tokens_out, synthetic, at, since, until. `&`, `|`, `!` and parentheses join them.
    """
    loaded = load_dials({"state.directory": state})
    if (what == "show") != (request_id is not None):
        _refuse("`llmops requests show ID` takes one id; a filter is one argument in quotes.")
    if what == "show" and request_id is not None:
        from llmops.shell import request as one

        raise typer.Exit(one.run(loaded.settings, request_id, as_json=as_json))
    from llmops.shell import requests as verb
    from llmops.shell.tabular import form_of

    form = form_of(as_json=as_json, as_csv=as_csv)
    raise typer.Exit(verb.run(loaded.settings, what, since=since, limit=limit, form=form, follow=follow))


@app.command()
def query(
    sql: Annotated[str, typer.Argument(metavar="SQL", help="One SELECT; docs/store.md has tables and examples.")],
    limit: Annotated[int, typer.Option(min=1, max=MOST_ROWS, help="At most so many rows.")] = 1000,
    timeout_s: Annotated[float, typer.Option("--timeout", min=0.1, help="Seconds that it may take.")] = 10.0,
    as_json: AsJson = False,
    as_csv: AsCsv = False,
    state: State = None,
) -> None:
    """Ask the record in SQL. It only reads: tables requests, samples, alerts, benchmarks, rollup, usage."""
    loaded = load_dials({"state.directory": state})
    from llmops.shell import query as verb
    from llmops.shell.tabular import form_of

    form = form_of(as_json=as_json, as_csv=as_csv)
    raise typer.Exit(verb.run(loaded.settings, sql, form=form, limit=limit, limit_s=timeout_s))


def _refuse(sentence: str) -> None:
    sys.stderr.write(f"llmops requests: {sentence}\n")
    raise typer.Exit(2)
