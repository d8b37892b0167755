"""Verbs that look after the installation: config, keys."""

from __future__ import annotations

from typing import Annotated

import typer

from llmops.cli.flags import AsJson, State, load_dials

app = typer.Typer()
config_app = typer.Typer(help="Dials: what they are set to, and by whom.", no_args_is_help=True)
app.add_typer(config_app, name="config")
keys_app = typer.Typer(help="API keys: who may use the model from elsewhere.", no_args_is_help=True)
app.add_typer(keys_app, name="keys")


@config_app.command("show")
def config_show(as_json: AsJson = False) -> None:
    """Each dial, its value, and where it came from."""
    loaded = load_dials({})
    from llmops.shell import config as verb

    raise typer.Exit(verb.show(loaded, as_json=as_json))


@keys_app.command("create")
def keys_create(
    name: Annotated[str, typer.Argument(help="Whose key it is: their limits and their name in the record.")],
    front_end: Annotated[
        bool,
        typer.Option(
            "--front-end",
            help="The holder serves others and names the end user in a header.",
        ),
    ] = False,
    as_json: AsJson = False,
    state: State = None,
) -> None:
    """Make a key and print it, this once."""
    loaded = load_dials({"state.directory": state})
    from llmops.shell import keys as verb

    raise typer.Exit(verb.create(loaded.settings.state.directory, name, is_front_end=front_end, as_json=as_json))


@keys_app.command("list")
def keys_list(as_json: AsJson = False, state: State = None) -> None:
    """Who has a key."""
    loaded = load_dials({"state.directory": state})
    from llmops.shell import keys as verb

    raise typer.Exit(verb.show(loaded.settings.state.directory, as_json=as_json))


@keys_app.command("revoke")
def keys_revoke(
    key_id: Annotated[str, typer.Argument(metavar="ID", help="As `llmops keys list` shows it.")], state: State = None
) -> None:
    """Take a key back: a running serve refuses it at once."""
    loaded = load_dials({"state.directory": state})
    from llmops.shell import keys as verb

    raise typer.Exit(verb.revoke(loaded.settings.state.directory, key_id))
