"""The verbs of `llmops`. Each imports its station when it runs, so that `llmops --help` is instant."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Sequence
from types import ModuleType
from typing import Annotated, NoReturn

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

_PARTS = (programs, asking, fitting, examining, reading, objectives, alerting, shipping, elk, administering)


def main() -> None:
    """The `llmops` command."""
    try:
        app_for(sys.argv[1:])()
    except OSError as error:  # of a file, a full disk, standard output: a sentence, whichever verb it was
        from llmops.state.files import sentence_of

        _end(sentence_of(error))
    except Exception as error:
        from llmops.settings import BadConfiguration  # pydantic is slow to load, and not every verb has dials

        if not isinstance(error, BadConfiguration):
            raise
        _end(str(error))


def _end(sentence: str) -> NoReturn:
    from llmops.untrusted import spelled_out

    with contextlib.suppress(OSError):  # standard error may be on the same full disk
        sys.stderr.write(f"llmops: {spelled_out(sentence)}\n")
        sys.stderr.flush()
    with contextlib.suppress(OSError):  # or the interpreter tries once more at its end, and shows a traceback
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    raise SystemExit(2) from None


def app_for(words: Sequence[str]) -> typer.Typer:
    """What answers this command line: only the part that has its verb, as all of them take 0.1 s to set up."""
    for part in _PARTS:
        commands = {each.name or str(getattr(each.callback, "__name__", "")) for each in part.app.registered_commands}
        groups = {each.name for each in part.app.registered_groups}
        if words and words[0] in commands | groups:
            return _app(part)
    return app


def _app(*parts: ModuleType) -> typer.Typer:
    made = typer.Typer(
        help="The ops stack for a self-hosted language-model bot: serve, watch, alert, chat, on one GPU box.",
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
        add_completion=True,
    )
    made.callback()(_root)
    for part in parts:
        made.add_typer(part.app)
    return made


def _version(asked: bool) -> None:
    if asked:
        import llmops

        typer.echo(f"llmops {llmops.__version__}")
        raise typer.Exit


def _root(
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Print it.")] = False,
) -> None:
    """Flags that stand before a verb."""


app = _app(*_PARTS)
