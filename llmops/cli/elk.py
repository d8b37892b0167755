"""Verbs of the classic road: `llmops elk ...`."""

from __future__ import annotations

from typing import Annotated

import typer

from llmops.cli.flags import AsJson, State, load_dials

app = typer.Typer()
elk_app = typer.Typer(help="Elasticsearch and Kibana: the record where a team can ask it.", no_args_is_help=True)
app.add_typer(elk_app, name="elk")


@elk_app.command()
def up(state: State = None) -> None:
    """Start the whole stack in containers, with new passwords in .env; bring the dashboards."""
    loaded = load_dials({"state.directory": state})
    from llmops.shell import stack as verb

    raise typer.Exit(verb.up(loaded.settings))


@elk_app.command()
def down(
    delete_data: Annotated[bool, typer.Option("--delete-data", help="The volumes too: everything it knows.")] = False,
) -> None:
    """Stop the stack; its data stays."""
    from llmops.shell import stack as verb

    raise typer.Exit(verb.down(delete_data=delete_data))


@elk_app.command()
def status(as_json: AsJson = False) -> None:
    """Each part of the stack: exit code 0 all well, 1 something is not, 2 docker can't be asked."""
    from llmops.shell import stack as verb

    raise typer.Exit(verb.status(as_json=as_json))
