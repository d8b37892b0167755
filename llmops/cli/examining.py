"""Verbs that look for what is wrong: doctor, explain."""

from __future__ import annotations

from typing import Annotated

import typer

from llmops.cli.flags import AsJson, State, load_dials

app = typer.Typer()


@app.command()
def doctor(
    bundle: Annotated[
        str | None, typer.Option(metavar="FILE", help="Write an archive for support too (.tar.gz), without secrets.")
    ] = None,
    as_json: AsJson = False,
    state: State = None,
) -> None:
    """Is this machine fit to serve: driver, libraries, memory, disk, ports, files, clock; and what mends it.

    Exit code 0 all ok, 1 warnings, 2 errors.
    """
    from llmops.shell import doctor as verb

    raise typer.Exit(verb.run(state, as_json=as_json, bundle=bundle))


@app.command()
def explain(
    what: Annotated[str, typer.Argument(metavar="oom | repetition | uneven-gpus | slow", help="What you see.")],
    since: Annotated[str, typer.Option(help="Not before: 2h ago, 7d ago, or 2026-01-31T12:00Z.")] = "24h",
    as_json: AsJson = False,
    state: State = None,
) -> None:
    """Why it happens, by this machine's own record, and which dial to turn."""
    loaded = load_dials({"state.directory": state})
    from llmops.shell import explain as verb

    raise typer.Exit(verb.run(loaded.settings, what, since=since, as_json=as_json))
