"""Flags that several verbs share, and what every verb begins with: its dials."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from llmops.settings import Loaded

Model = Annotated[str | None, typer.Argument(help="Hub name or local folder; none: the demo model that ships.")]
Host = Annotated[str | None, typer.Option(help="Address to bind.")]
Port = Annotated[int | None, typer.Option(help="Port to bind; 0 takes a free one.")]
Engine = Annotated[
    str | None,
    typer.Option(help="transformers, transformers-sequential, upstream, or echo: no weights, for trying things out."),
]
Gpu = Annotated[
    str | None,
    typer.Option(
        help="What is sampled: auto, nvml, system, none, or pretend: two scripted cards. pretend:hot, "
        ":full, :slowed or :failing has one of them in trouble."
    ),
]
Upstream = Annotated[str | None, typer.Option(help="OpenAI-compatible server to put behind: http://host:port/v1.")]
Quantization = Annotated[str | None, typer.Option(help="none, nf4, nf4-double or int8.")]
State = Annotated[str | None, typer.Option("--state", help="Folder of journal and store.")]
Url = Annotated[str | None, typer.Option(help="Which serve to talk to.")]
Supervised = Annotated[bool, typer.Option("--supervised", hidden=True, help="End when standard input closes.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def gpu_dials(gpu: str | None) -> dict[str, Any]:
    """`pretend:hot` is a kind and a scene."""
    kind, _, scene = (gpu or "").partition(":")
    return {"gpu.kind": kind or None, "gpu.scene": scene or None}


def load_dials(flags: dict[str, Any], *, log: bool = True) -> Loaded:
    """The dials under these flags. log: say what happens on standard error. Raises BadConfiguration."""
    from llmops.settings import load

    loaded = load(flags)
    if log:
        from llmops.sinks.log import configure_log

        configure_log(loaded.settings.events.log_level, sys.stderr)
    return loaded


def url_of(loaded: Loaded) -> str:
    """Where serve is."""
    return loaded.settings.watch.serve_url or loaded.settings.serve.url


def refuse_flags_before_the_verb(context: typer.Context) -> None:
    """`llmops slo --state DIR report` would forget the folder: the flags of a group are those of the group alone.

    Raises BadParameter with the command that was meant.
    """
    verb = context.invoked_subcommand
    given = " ".join(each.opts[0] for each in context.command.params if _was_typed(context, each.name or ""))
    if verb is not None and given:
        raise typer.BadParameter(f"write {given} after {verb}: {context.command_path} {verb} {given} ...")


def _was_typed(context: typer.Context, name: str) -> bool:
    source = context.get_parameter_source(name)
    return source is not None and source.name == "COMMANDLINE"
