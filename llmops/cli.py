"""The verbs of `llmops`. Each imports its station when it runs, so that `llmops --help` is instant."""

from __future__ import annotations

import sys
from typing import Annotated, Any

import typer

from llmops.settings import BadConfiguration, Loaded, load

app = typer.Typer(
    help="The ops stack for a self-hosted language-model bot: serve, watch, alert, chat, on one GPU box.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    add_completion=True,
)
config_app = typer.Typer(help="Dials: what they are set to, and by whom.", no_args_is_help=True)
app.add_typer(config_app, name="config")
bench_app = typer.Typer(invoke_without_command=True)
app.add_typer(bench_app, name="bench")
keys_app = typer.Typer(help="API keys: who may use the model from elsewhere.", no_args_is_help=True)
app.add_typer(keys_app, name="keys")

Model = Annotated[str | None, typer.Argument(help="Hub name or local folder; none: the demo model that ships.")]
Host = Annotated[str | None, typer.Option(help="Address to bind.")]
Port = Annotated[int | None, typer.Option(help="Port to bind; 0 takes a free one.")]
Engine = Annotated[
    str | None,
    typer.Option(help="transformers, transformers-sequential, upstream, or echo: no weights, for trying things out."),
]
Upstream = Annotated[str | None, typer.Option(help="OpenAI-compatible server to put behind: http://host:port/v1.")]
Quantization = Annotated[str | None, typer.Option(help="none, nf4, nf4-double or int8.")]
State = Annotated[str | None, typer.Option("--state", help="Folder of journal and store.")]
Url = Annotated[str | None, typer.Option(help="Which serve to talk to.")]
Supervised = Annotated[bool, typer.Option("--supervised", hidden=True, help="End when standard input closes.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def main() -> None:
    """The `llmops` command."""
    try:
        app()
    except BadConfiguration as error:
        sys.stderr.write(f"llmops: {error}\n")
        raise SystemExit(2) from None


@app.command()
def serve(
    model: Model = None,
    host: Host = None,
    port: Port = None,
    engine: Engine = None,
    upstream: Upstream = None,
    quantization: Quantization = None,
    state: State = None,
    supervised: Supervised = False,
) -> None:
    """Serve a model over an OpenAI-compatible API."""
    loaded = _load(_serving(model, host, port, engine, quantization, state, upstream))
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
    loaded = _load({"watch.serve_url": url, "watch.webhook_url": webhook, "state.directory": state})
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
    state: State = None,
) -> None:
    """Run serve and watch under one roof; restart what dies."""
    flags = _serving(model, host, port, engine, quantization, state, upstream)
    loaded = _load(flags)
    from llmops import up as program

    if loaded.settings.serve.port == 0:  # chosen here, because watch must know it too
        flags["serve.port"] = program.free_port()
    environment = program.as_environment(flags)
    raise typer.Exit(program.run(environment, drain_s=loaded.settings.serve.drain_deadline_s))


@app.command()
def tui(url: Url = None, state: State = None, language: Annotated[str | None, typer.Option()] = None) -> None:
    """The terminal: live overview and chat."""
    loaded = _load({"watch.serve_url": url, "state.directory": state, "tui.language": language}, log=False)
    settings = loaded.settings
    from llmops.tui.app import run

    raise typer.Exit(run(url=_url(loaded), store_path=settings.state.store, settings=settings))


@app.command()
def chat(
    message: Annotated[str | None, typer.Option("--message", "-m", help="What to say; none: standard input.")] = None,
    url: Url = None,
    max_tokens: Annotated[int | None, typer.Option(min=1, help="Longest answer in tokens.")] = None,
    temperature: Annotated[float | None, typer.Option(min=0.0, max=2.0, help="0 is greedy.")] = None,
) -> None:
    """Ask once, print the answer."""
    loaded = _load({"watch.serve_url": url})
    if message is None and sys.stdin.isatty():
        sys.stderr.write('llmops chat: say something with -m "...", or pipe it in. For a conversation: llmops tui.\n')
        raise typer.Exit(2)
    from llmops.shell import chat as verb

    text = sys.stdin.buffer.read().decode("utf-8", "replace") if message is None else message
    key = loaded.settings.watch.key
    raise typer.Exit(verb.run(_url(loaded), text, api_key=key, max_tokens=max_tokens, temperature=temperature))


@app.command()
def status(as_json: AsJson = False, url: Url = None, state: State = None) -> None:
    """One look at everything: exit code 0 ok, 1 degraded, 2 cannot read."""
    loaded = _load({"watch.serve_url": url, "state.directory": state})
    from llmops.shell import status as verb

    raise typer.Exit(verb.run(loaded.settings, _url(loaded), as_json=as_json))


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
    """Measure the running server now and compare with the run before."""
    if context.invoked_subcommand is not None:
        return
    dials = {"bench.requests": requests, "bench.concurrency": concurrency, "bench.max_tokens": max_tokens}
    loaded = _load({"watch.serve_url": url, "state.directory": state, **dials})
    from llmops.shell import bench as verb

    raise typer.Exit(verb.run(loaded.settings, _url(loaded), as_json=as_json))


@bench_app.command()
def quality(
    model: Model = None,
    quantization: Annotated[list[str] | None, typer.Option(help="nf4, nf4-double or int8; may be repeated.")] = None,
    as_json: AsJson = False,
    state: State = None,
) -> None:
    """What quantisation costs a model: perplexity, agreement with the unquantised weights, memory, speed."""
    loaded = _load({"state.directory": state}, log=False)
    from llmops.shell import quality as verb

    raise typer.Exit(verb.run(loaded.settings, model, quantization or [], as_json=as_json))


@app.command()
def demo(
    headless: Annotated[bool, typer.Option("--headless", help="No terminal: print at the end what happened.")] = False,
    duration: Annotated[str, typer.Option("--for", help="How long, as in 60s or 2m; with --headless.")] = "60s",
    engine: Engine = None,
) -> None:
    """Everything at once, on free ports and in a temporary folder: serve, watch, a gentle load, the terminal."""
    from llmops import demo as program

    raise typer.Exit(program.run(headless=headless, duration=duration, engine=engine))


@config_app.command("show")
def config_show(as_json: AsJson = False) -> None:
    """Each dial, its value, and where it came from."""
    loaded = _load({})
    from llmops.shell import config as verb

    raise typer.Exit(verb.show(loaded, as_json=as_json))


@keys_app.command("create")
def keys_create(
    name: Annotated[str, typer.Argument(help="Whose key it is: their limits and their name in the record.")],
    as_json: AsJson = False,
    state: State = None,
) -> None:
    """Make a key and print it, this once."""
    loaded = _load({"state.directory": state})
    from llmops.shell import keys as verb

    raise typer.Exit(verb.create(loaded.settings.state.directory, name, as_json=as_json))


@keys_app.command("list")
def keys_list(as_json: AsJson = False, state: State = None) -> None:
    """Who has a key."""
    loaded = _load({"state.directory": state})
    from llmops.shell import keys as verb

    raise typer.Exit(verb.show(loaded.settings.state.directory, as_json=as_json))


@keys_app.command("revoke")
def keys_revoke(
    key_id: Annotated[str, typer.Argument(metavar="ID", help="As `llmops keys list` shows it.")], state: State = None
) -> None:
    """Take a key back: a running serve refuses it at once."""
    loaded = _load({"state.directory": state})
    from llmops.shell import keys as verb

    raise typer.Exit(verb.revoke(loaded.settings.state.directory, key_id))


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


def _load(flags: dict[str, Any], *, log: bool = True) -> Loaded:
    loaded = load(flags)
    if log:
        from llmops.sinks.log import configure_log

        configure_log(loaded.settings.events.log_level, None, sys.stderr)
    return loaded


def _follow_supervisor(supervised: bool) -> None:
    if supervised:
        from llmops.up import end_with_supervisor

        end_with_supervisor()


def _url(loaded: Loaded) -> str:
    return loaded.settings.watch.serve_url or loaded.settings.serve.url
