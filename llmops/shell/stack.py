"""`llmops elk up`, `down`, `status`: Elasticsearch, Logstash, Kibana, Filebeat and nginx in containers."""

from __future__ import annotations

import dataclasses
import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from llmops.elastic.stack import environment, preflight
from llmops.elastic.stack.compose import ComposeProblem, Part, find
from llmops.elastic.streams import STREAMS
from llmops.elastic.templates import template_of
from llmops.settings import Settings
from llmops.shell.welcome import welcome

_AUTHORITY = "/usr/share/elasticsearch/config/certificates/ca.crt"
_PRIVATE = 0o700


def up(settings: Settings) -> int:
    """Make `.env`, start everything, bring the dashboards; 0 when all of it is there, 2 when docker is not."""
    state = settings.state.directory.absolute()
    try:
        compose = find(Path.cwd())
        compose.check()
        added = environment.complete(compose.environment, _given(state))
        if added:
            _say(f"Wrote {', '.join(added)} to {compose.environment}, for your eyes only: it opens the data.")
        _lay_out(state, settings.elastic.keep_days)
        if not any(part.state == "running" for part in compose.parts()):
            _warn(state, environment.read(compose.environment))
        if code := compose.run("up", "--detach", "--remove-orphans"):
            _say("Not everything started: `llmops elk status` says what, `docker compose logs PART` says why.")
            return code
        authority = state / "elk" / "ca.crt"
        if code := compose.run("cp", f"elasticsearch:{_AUTHORITY}", str(authority)):
            return code
    except (ComposeProblem, OSError) as error:
        return _complain(error)
    return welcome(environment.read(compose.environment), authority, settings.elastic.keep_days)


def down(*, delete_data: bool) -> int:
    """Stop it. The data stays in its volumes unless it is to go too."""
    try:
        compose = find(Path.cwd())
        compose.check()
        return compose.run("down", *(["--volumes"] if delete_data else []))
    except ComposeProblem as error:
        return _complain(error)


def status(*, as_json: bool) -> int:
    """Print each part's state; 0 all well, 1 something is not, 2 docker can't be asked."""
    try:
        compose = find(Path.cwd())
        compose.check()
        parts = compose.parts()
    except ComposeProblem as error:
        return _complain(error)
    if as_json:
        rows = [dataclasses.asdict(part) | {"is_well": part.is_well} for part in parts]
        print(json.dumps(rows, indent=2))
    elif not parts:
        _say("Nothing of the stack is here: `llmops elk up` starts it.")
    else:
        Console(highlight=False).print(_table(parts))
    return 0 if parts and all(part.is_well for part in parts) else 1


def _given(state: Path) -> dict[str, str]:
    return {"COMPOSE_PROJECT_NAME": "llmops-elk", "LLMOPS_UID": str(os.getuid()), "LLMOPS_STATE": str(state)}


def _lay_out(state: Path, keep_days: Mapping[str, int]) -> None:
    """The folders that containers see, for their owner alone; docker would make missing ones itself, as root's.

    What is there already is closed as well, except the state folder itself: it may be one that holds other things.
    """
    elk, templates = state / "elk", state / "elk" / "templates"
    state.parent.mkdir(parents=True, exist_ok=True)
    state.mkdir(mode=_PRIVATE, exist_ok=True)
    for folder in (state / "journal", elk, templates):
        folder.mkdir(mode=_PRIVATE, exist_ok=True)
        folder.chmod(_PRIVATE)
    for stream in STREAMS:
        body = json.dumps(template_of(stream, keep_days.get(stream.dataset)), indent=2)
        (templates / f"{stream.template}.json").write_text(body, encoding="utf-8")


def _table(parts: list[Part]) -> Table:
    table = Table("part", "state", "health", box=None, pad_edge=False)
    for part in sorted(parts, key=lambda part: part.service):
        state = "done" if part.is_well and part.state == "exited" else part.state
        table.add_row(*(escape(cell) for cell in (part.service, state, part.health or "--")))
    return table


def _warn(state: Path, known: Mapping[str, str]) -> None:
    ports = {preflight.NGINX_PORT: "nginx"}
    ports[_port(known, "ELASTICSEARCH_PORT", preflight.ELASTICSEARCH_PORT)] = "Elasticsearch"
    ports[_port(known, "KIBANA_PORT", preflight.KIBANA_PORT)] = "Kibana"
    for sentence in preflight.warnings(state, ports):
        _say(f"Warning: {sentence}")


def _port(known: Mapping[str, str], name: str, default: int) -> int:
    value = known.get(name) or str(default)
    if not value.isascii() or not value.isdigit() or not 0 < int(value) < 65536:
        raise ComposeProblem(f"{name} in .env is {value!r}: it must be a number from 1 to 65535.")
    return int(value)


def _say(sentence: str) -> None:
    print(sentence, file=sys.stderr)


def _complain(error: Exception) -> int:
    _say(f"llmops elk: {error}")
    return 2
