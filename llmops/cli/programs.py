"""Verbs that run until they are told to end: serve, watch, up, tui, demo."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from llmops.cli.flags import (
    Engine,
    Gpu,
    Host,
    Model,
    Port,
    Quantization,
    State,
    Supervised,
    Upstream,
    Url,
    gpu_dials,
    load_dials,
    url_of,
)

app = typer.Typer()


@app.command()
def serve(
    model: Model = None,
    host: Host = None,
    port: Port = None,
    engine: Engine = None,
    upstream: Upstream = None,
    quantization: Quantization = None,
    gpu: Gpu = None,
    state: State = None,
    supervised: Supervised = False,
) -> None:
    """Serve a model over an OpenAI-compatible API."""
    loaded = load_dials(_serving(model, host, port, engine, quantization, state, upstream) | gpu_dials(gpu))
    _follow_supervisor(supervised)
    from llmops import serve as program

    raise typer.Exit(program.run(loaded.settings))


@app.command()
def watch(
    url: Url = None,
    webhook: Annotated[str | None, typer.Option(help="Alerts are POSTed to this URL.")] = None,
    state: State = None,
    supervised: Supervised = False,
) -> None:
    """Follow the record, judge the objectives, tell about alerts."""
    loaded = load_dials({"watch.serve_url": url, "watch.webhook_url": webhook, "state.directory": state})
    _follow_supervisor(supervised)
    from llmops import watch as program

    raise typer.Exit(program.run(loaded.settings))


@app.command()
def up(
    model: Model = None,
    host: Host = None,
    port: Port = None,
    engine: Engine = None,
    upstream: Upstream = None,
    quantization: Quantization = None,
    gpu: Gpu = None,
    state: State = None,
) -> None:
    """Run serve and watch under one roof; restart what dies."""
    flags = _serving(model, host, port, engine, quantization, state, upstream) | gpu_dials(gpu)
    loaded = load_dials(flags)
    from llmops import up as program
    from llmops.state.directory import require_safe

    require_safe(loaded.settings.state.directory)
    if loaded.settings.serve.port == 0:  # chosen here, because watch must know it too
        flags["serve.port"] = program.free_port()
    environment = program.as_environment(flags)
    raise typer.Exit(program.run(environment, drain_s=loaded.settings.serve.drain_deadline_s))


@app.command()
def tui(url: Url = None, state: State = None, language: Annotated[str | None, typer.Option()] = None) -> None:
    """The terminal: live overview and chat."""
    loaded = load_dials({"watch.serve_url": url, "state.directory": state, "tui.language": language}, log=False)
    settings = loaded.settings
    from llmops.tui.app import run

    raise typer.Exit(run(url=url_of(loaded), store_path=settings.state.store, settings=settings))


@app.command()
def demo(
    headless: Annotated[bool, typer.Option("--headless", help="No terminal: print at the end what happened.")] = False,
    duration: Annotated[str, typer.Option("--for", help="How long, as in 60s or 2m; with --headless.")] = "60s",
    engine: Engine = None,
    gpu: Gpu = None,
) -> None:
    """Everything at once, on free ports and in a temporary folder: serve, watch, a gentle load, the terminal."""
    from llmops import demo as program

    raise typer.Exit(program.run(headless=headless, duration=duration, engine=engine, more=gpu_dials(gpu)))


def _serving(
    model: str | None,
    host: str | None,
    port: int | None,
    engine: str | None,
    quantization: str | None,
    state: str | None,
    upstream: str | None,
) -> dict[str, Any]:
    return {
        "engine.upstream_url": upstream,
        "engine.model": model,
        "serve.host": host,
        "serve.port": port,
        "engine.kind": engine or ("upstream" if upstream else None),
        "engine.quantization": quantization,
        "state.directory": state,
    }


def _follow_supervisor(supervised: bool) -> None:
    if supervised:
        from llmops.up import end_with_supervisor

        end_with_supervisor()
