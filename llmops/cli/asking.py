"""Verbs that ask the running server once: chat, status, bench."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from llmops.cli.flags import AsJson, Model, State, Url, load_dials, refuse_flags_before_the_verb, url_of

app = typer.Typer()
bench_app = typer.Typer(invoke_without_command=True)
app.add_typer(bench_app, name="bench")


@app.command()
def chat(
    message: Annotated[str | None, typer.Option("--message", "-m", help="What to say; none: standard input.")] = None,
    url: Url = None,
    system: Annotated[str | None, typer.Option(help="System prompt: text that stands before the message.")] = None,
    max_tokens: Annotated[str | None, typer.Option(help="Longest answer in tokens.")] = None,
    temperature: Annotated[str | None, typer.Option(help="0 to 2; 0 is greedy. None: the server's default.")] = None,
    top_p: Annotated[str | None, typer.Option(help="Above 0, at most 1.")] = None,
    top_k: Annotated[str | None, typer.Option(help="1 or more.")] = None,
    seed: Annotated[str | None, typer.Option(help="The same seed gives the same answer.")] = None,
) -> None:
    """Ask once, print the answer."""
    sampling = {"max_tokens": max_tokens, "temperature": temperature, "top_p": top_p, "top_k": top_k, "seed": seed}
    loaded = load_dials({"watch.serve_url": url})
    if message is None and sys.stdin.isatty():
        sys.stderr.write('llmops chat: say something with -m "...", or pipe it in. For a conversation: llmops tui.\n')
        raise typer.Exit(2)
    from llmops.shell import chat as verb

    options = verb.options_of(system, sampling)
    text = verb.standard_input(loaded.settings.serve.max_body_bytes) if message is None else message
    if options is None or text is None:
        raise typer.Exit(2)
    raise typer.Exit(verb.run(url_of(loaded), text, api_key=loaded.settings.watch.key, options=options))


@app.command()
def status(as_json: AsJson = False, url: Url = None, state: State = None) -> None:
    """One look at everything: exit code 0 ok, 1 degraded, 2 cannot read."""
    loaded = load_dials({"watch.serve_url": url, "state.directory": state})
    from llmops.shell import status as verb

    raise typer.Exit(verb.run(loaded.settings, url_of(loaded), as_json=as_json))


@bench_app.callback()
def bench(
    context: typer.Context,
    url: Url = None,
    state: State = None,
    requests: Annotated[int | None, typer.Option(min=1, help="Requests in all.")] = None,
    concurrency: Annotated[int | None, typer.Option(min=1, help="Requests at once.")] = None,
    max_tokens: Annotated[int | None, typer.Option(min=1, help="Longest answer in tokens.")] = None,
    as_json: AsJson = False,
) -> None:
    """Measure the running server now and compare with the run before: exit code 0 all answered, 1 some failed."""
    refuse_flags_before_the_verb(context)
    if context.invoked_subcommand is not None:
        return
    dials = {"bench.requests": requests, "bench.concurrency": concurrency, "bench.max_tokens": max_tokens}
    loaded = load_dials({"watch.serve_url": url, "state.directory": state, **dials})
    from llmops.shell import bench as verb

    raise typer.Exit(verb.run(loaded.settings, url_of(loaded), as_json=as_json))


@bench_app.command()
def quality(
    model: Model = None,
    quantization: Annotated[list[str] | None, typer.Option(help="nf4, nf4-double or int8; may be repeated.")] = None,
    as_json: AsJson = False,
    state: State = None,
) -> None:
    """What quantisation costs a model: perplexity, agreement with the unquantised weights, memory, speed of
    generation and of reading, and a sentence for each: exit code 0 measured, 1 no model, 2 the question is wrong."""
    loaded = load_dials({"state.directory": state}, log=False)
    from llmops.shell import quality as verb

    raise typer.Exit(verb.run(loaded.settings, model, quantization or [], as_json=as_json))
