"""Verbs about objectives: `llmops slo ...`."""

from __future__ import annotations

from typing import Annotated

import typer

from llmops.cli.flags import AsJson, State, load_dials, refuse_flags_before_the_verb

app = typer.Typer()
slo_app = typer.Typer(invoke_without_command=True)
app.add_typer(slo_app, name="slo")


@slo_app.callback()
def slo(context: typer.Context, as_json: AsJson = False, state: State = None) -> None:
    """Objectives: where they stand (exit code 0 ok, 1 at risk or breached, 2 cannot read), what happened to them."""
    refuse_flags_before_the_verb(context)
    if context.invoked_subcommand is None:
        status(as_json=as_json, state=state)


@slo_app.command()
def status(as_json: AsJson = False, state: State = None) -> None:
    """Each objective now: exit code 0 ok, 1 at risk or breached, 2 cannot read."""
    loaded = load_dials({"state.directory": state})
    from llmops.shell import slo as verb

    raise typer.Exit(verb.run(loaded.settings, as_json=as_json))


@slo_app.command()
def report(
    month: Annotated[str | None, typer.Option(help="As in 2026-01; none: this month so far.")] = None,
    as_json: AsJson = False,
    state: State = None,
) -> None:
    """A month of each objective, a line a day, and who or what spent its budget."""
    loaded = load_dials({"state.directory": state})
    from llmops.shell import slo_report as verb

    raise typer.Exit(verb.run(loaded.settings, month, as_json=as_json))


@slo_app.command()
def backtest(
    file: Annotated[
        str | None, typer.Argument(metavar="[FILE]", help="Objectives, TOML or OpenSLO; none: those of now.")
    ] = None,
    since: Annotated[str, typer.Option(help="A moment (2026-01-31T12:00Z), or how long ago (36h, 7d).")] = "7d",
    step: Annotated[str, typer.Option(help="Between two looks.")] = "60s",
    as_json: AsJson = False,
    state: State = None,
) -> None:
    """Would these objectives have alerted: when, for how long?"""
    loaded = load_dials({"state.directory": state})
    from llmops.shell import slo_backtest as verb

    raise typer.Exit(verb.run(loaded.settings, file, since=since, step=step, as_json=as_json))


@slo_app.command()
def export(
    openslo: Annotated[bool, typer.Option("--openslo", help="OpenSLO v1 in YAML instead of TOML.")] = False,
    as_json: AsJson = False,
    state: State = None,
) -> None:
    """Print the objectives that are judged; objectives.file reads them back."""
    loaded = load_dials({"state.directory": state})
    from llmops.shell import slo_export as verb

    raise typer.Exit(verb.run(loaded.settings, openslo=openslo, as_json=as_json))
