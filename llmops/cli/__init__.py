"""The verbs of `llmops`. Each imports its station when it runs, so that `llmops --help` is instant."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from llmops.cli import (
    administering,
    alerting,
    asking,
    elk,
    examining,
    fitting,
    objectives,
    programs,
    reading,
    shipping,
)

app = typer.Typer(
    help="The ops stack for a self-hosted language-model bot: serve, watch, alert, chat, on one GPU box.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    add_completion=True,
)
for part in (programs, asking, fitting, examining, reading, objectives, alerting, shipping, elk, administering):
    app.add_typer(part.app)


def main() -> None:
    """The `llmops` command."""
    try:
        app()
    except Exception as error:
        from llmops.settings import BadConfiguration  # pydantic is slow to load, and not every verb has dials

        if not isinstance(error, BadConfiguration):
            raise
        sys.stderr.write(f"llmops: {error}\n")
        raise SystemExit(2) from None


def _version(asked: bool) -> None:
    if asked:
        import llmops

        typer.echo(f"llmops {llmops.__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Print it.")] = False,
) -> None:
    """Flags that stand before a verb."""
