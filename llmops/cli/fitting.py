"""The verb `fit`: it reads dials only where this box has runs of its own to tell of, so that it answers at once."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from llmops.cli.flags import AsJson, State, load_dials
from llmops.statefolder import STORE, quick_state_directory

app = typer.Typer()


@app.command()
def fit(
    model: Annotated[str | None, typer.Argument(help="Hub name or local folder; none: what fits, ranked.")] = None,
    ctx: Annotated[int | None, typer.Option(min=1, help="Prompt and answer in tokens; none: 4,096.")] = None,
    quant: Annotated[str | None, typer.Option(help="bf16, int8, nf4, nf4-double, gptq-int4, gptq-int8, awq.")] = None,
    batch: Annotated[int, typer.Option(min=1, max=4096, help="Conversations at once, each of --ctx tokens.")] = 1,
    gpu: Annotated[
        str | None, typer.Option(help='Simulate: "RTX 4070 12GB", 2x3090; none: the GPU here, else the CPU.')
    ] = None,
    speed: Annotated[float, typer.Option(min=0.0, help="Show what may reach so many tokens/s.")] = 0.0,
    models: Annotated[bool, typer.Option("--models", help="List the models that are known offline.")] = False,
    cards: Annotated[bool, typer.Option("--cards", help="List the GPUs that can be simulated.")] = False,
    as_json: AsJson = False,
    state: State = None,
) -> None:
    """What can this machine run, and how fast? Offline; exit code 0 fits, 1 does not, 2 the question is wrong."""
    from llmops.shell import fit as verb

    if models or cards:
        raise typer.Exit(verb.list_models(as_json=as_json) if models else verb.list_cards(as_json=as_json))
    question = verb.Question(model=model, context=ctx, scheme=quant, batch=batch, gpu=gpu, at_least=speed)
    raise typer.Exit(verb.run(question, lambda: _record_under(state), as_json=as_json))


def _record_under(state: str | None) -> Path:
    folder = quick_state_directory(state)
    if folder is None:
        folder = load_dials({"state.directory": state}, log=False).settings.state.directory
    return folder / STORE
