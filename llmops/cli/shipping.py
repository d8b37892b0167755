"""Verbs that bring the record to Elasticsearch: ship, elk."""

from __future__ import annotations

from typing import Annotated

import typer

from llmops.cli.flags import AsJson, State, load_dials

app = typer.Typer()
elk_app = typer.Typer(help="Elasticsearch and Kibana: set up, fill, check.", no_args_is_help=True)
app.add_typer(elk_app, name="elk")

Elastic = Annotated[str | None, typer.Option("--elastic", help="Where Elasticsearch is; else elastic.url.")]
Since = Annotated[str | None, typer.Option(help="A moment (2026-01-31T12:00Z), or how long ago (36h, 7d).")]


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


@elk_app.command("setup")
def elk_setup(
    new_key: Annotated[bool, typer.Option("--new-key", help="Make new keys and take the old ones back.")] = False,
    elastic: Elastic = None,
    state: State = None,
) -> None:
    """Templates, retention, keys, dashboards: whatever is missing. Needs an administrator's password."""
    loaded = load_dials({"elastic.url": elastic, "state.directory": state})
    from llmops.shell import elk as verb

    raise typer.Exit(verb.setup(loaded.settings, new_key=new_key))


@elk_app.command("backfill")
def elk_backfill(since: Since = None, elastic: Elastic = None, state: State = None) -> None:
    """Send what the server lacks of the journal."""
    loaded = load_dials({"elastic.url": elastic, "state.directory": state})
    from llmops.shell import elk as verb
    from llmops.shell.moments import moment_of

    raise typer.Exit(verb.backfill(loaded.settings, moment_of(since)))


@elk_app.command("check")
def elk_check(since: Since = None, as_json: AsJson = False, elastic: Elastic = None, state: State = None) -> None:
    """Is everything of the journal there, once? Exit code 1 when not."""
    loaded = load_dials({"elastic.url": elastic, "state.directory": state})
    from llmops.shell import elk as verb
    from llmops.shell.moments import moment_of

    raise typer.Exit(verb.compare(loaded.settings, moment_of(since), as_json=as_json))
