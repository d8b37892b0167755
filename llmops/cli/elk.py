"""Verbs of the classic road: `llmops elk ...`."""

from __future__ import annotations

from typing import Annotated

import typer

from llmops.cli.flags import AsJson, State, load_dials
from llmops.cli.shipping import Elastic

app = typer.Typer()
elk_app = typer.Typer(help="Elasticsearch and Kibana: the record where a team can ask it.", no_args_is_help=True)
app.add_typer(elk_app, name="elk")

Since = Annotated[str | None, typer.Option(help="A moment (2026-01-31T12:00Z), or how long ago (36h, 7d).")]


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


@elk_app.command()
def setup(
    new_key: Annotated[bool, typer.Option("--new-key", help="Make new keys and take the old ones back.")] = False,
    elastic: Elastic = None,
    state: State = None,
) -> None:
    """Templates, retention, keys, dashboards: whatever is missing. Needs an administrator's password."""
    loaded = load_dials({"elastic.url": elastic, "state.directory": state})
    from llmops.shell import elk as verb

    raise typer.Exit(verb.setup(loaded.settings, new_key=new_key))


@elk_app.command()
def backfill(since: Since = None, elastic: Elastic = None, state: State = None) -> None:
    """Send what the server lacks of the journal."""
    loaded = load_dials({"elastic.url": elastic, "state.directory": state})
    from llmops.shell import elk as verb
    from llmops.shell.moments import moment_of

    raise typer.Exit(verb.backfill(loaded.settings, moment_of(since)))


@elk_app.command()
def check(since: Since = None, as_json: AsJson = False, elastic: Elastic = None, state: State = None) -> None:
    """Is everything of the journal there, once? Exit code 1 when not."""
    loaded = load_dials({"elastic.url": elastic, "state.directory": state})
    from llmops.shell import elk as verb
    from llmops.shell.moments import moment_of

    raise typer.Exit(verb.compare(loaded.settings, moment_of(since), as_json=as_json))
