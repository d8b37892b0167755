"""The verb that brings the record to Elasticsearch: ship."""

from __future__ import annotations

from typing import Annotated

import typer

from llmops.cli.flags import State, load_dials

app = typer.Typer()

Elastic = Annotated[str | None, typer.Option("--elastic", help="Where Elasticsearch is; else elastic.url.")]


@app.command()
def ship(
    once: Annotated[bool, typer.Option("--once", help="End when all that the journal holds is there.")] = False,
    elastic: Elastic = None,
    state: State = None,
) -> None:
    """Send the record to Elasticsearch, each event once."""
    loaded = load_dials({"elastic.url": elastic, "state.directory": state})
    from llmops.shell import ship as verb

    raise typer.Exit(verb.run(loaded.settings, once=once))
