"""Verbs of alerts: what fires, who was told, and what people say to it."""

from __future__ import annotations

from typing import Annotated

import typer

from llmops.cli.flags import AsJson, State, load_dials, refuse_flags_before_the_verb

alerts_app = typer.Typer(
    help="Alerts: what fires, who was told, silences, a test message.", invoke_without_command=True
)
app = typer.Typer()
app.add_typer(alerts_app, name="alerts")

Which = Annotated[str, typer.Argument(metavar="ALERT", help="Its rule, or the beginning of its id.")]
Comment = Annotated[str, typer.Option("--comment", "-m", help="Why; for whoever looks later.")]
Since = Annotated[str | None, typer.Option(help="Not before: 2h ago, 7d ago, or 2026-01-31T12:00Z.")]


@alerts_app.callback()
def alerts(context: typer.Context, as_json: AsJson = False, state: State = None) -> None:
    """What is pending or firing now, and why people were told or not."""
    refuse_flags_before_the_verb(context)
    if context.invoked_subcommand is None:
        list_(as_json=as_json, state=state)


@alerts_app.command("list")
def list_(as_json: AsJson = False, state: State = None) -> None:
    """What is pending or firing now, and why people were told or not."""
    loaded = load_dials({"state.directory": state})
    from llmops.shell import alerts as verb

    raise typer.Exit(verb.show_all(loaded.settings, as_json=as_json))


@alerts_app.command()
def show(alert: Which, as_json: AsJson = False, state: State = None) -> None:
    """All of one alert: numbers, requests that show it, who was told, its last changes."""
    loaded = load_dials({"state.directory": state})
    from llmops.shell import alert as verb

    raise typer.Exit(verb.show(loaded.settings, alert, as_json=as_json))


@alerts_app.command()
def history(
    since: Since = None,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="At most so many.")] = 50,
    as_json: AsJson = False,
    state: State = None,
) -> None:
    """Every change of every alert, and how each channel fared; newest first."""
    loaded = load_dials({"state.directory": state})
    from llmops.shell import alerts as verb

    raise typer.Exit(verb.history(loaded.settings, since=since, limit=limit, as_json=as_json))


@alerts_app.command()
def ack(alert: Which, comment: Comment = "", as_json: AsJson = False, state: State = None) -> None:
    """Say that you are on it: it is not told again, only its end."""
    loaded = load_dials({"state.directory": state})
    from llmops.shell import quiet as verb

    raise typer.Exit(verb.acknowledge(loaded.settings, alert, comment=comment, as_json=as_json))


@alerts_app.command()
def silence(
    matchers: Annotated[
        list[str], typer.Argument(metavar="MATCHER...", help="rule=slo.*, slo=, severity=, group=; or a rule alone.")
    ],
    duration: Annotated[str, typer.Option("--for", help="How long: 30m, 2h, 7d.")] = "2h",
    comment: Comment = "",
    as_json: AsJson = False,
    state: State = None,
) -> None:
    """Tell nobody of the alerts that all of these match."""
    loaded = load_dials({"state.directory": state})
    from llmops.shell import quiet as verb

    raise typer.Exit(verb.silence(loaded.settings, matchers, duration=duration, comment=comment, as_json=as_json))


@alerts_app.command()
def unsilence(
    silence_id: Annotated[str, typer.Argument(metavar="ID", help="As `llmops alerts list` shows it.")],
    as_json: AsJson = False,
    state: State = None,
) -> None:
    """End a silence now: what still fires is told."""
    loaded = load_dials({"state.directory": state})
    from llmops.shell import quiet as verb

    raise typer.Exit(verb.unsilence(loaded.settings, silence_id, as_json=as_json))


@alerts_app.command()
def test(
    channel: Annotated[str, typer.Argument(metavar="CHANNEL", help="console, webhook, email, ...")],
    as_json: AsJson = False,
    state: State = None,
) -> None:
    """Send one message that says it is a test, and say how that went."""
    loaded = load_dials({"state.directory": state})
    from llmops.shell import trying as verb

    raise typer.Exit(verb.run(loaded.settings, channel, as_json=as_json))
