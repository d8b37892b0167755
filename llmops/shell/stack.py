"""`llmops elk up`, `down`, `status`: Elasticsearch, Logstash, Kibana, Filebeat and nginx in containers."""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Mapping
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from llmops.elastic.stack import environment, preflight
from llmops.elastic.stack.compose import Compose, Part, find
from llmops.elastic.stack.errors import ComposeProblem, EnvironmentProblem, StackProblem
from llmops.elastic.streams import STREAMS
from llmops.elastic.templates import template_of
from llmops.settings import Settings
from llmops.shell.shipping import in_words, say
from llmops.shell.welcome import welcome

_AUTHORITY = "/usr/share/elasticsearch/config/certificates/ca.crt"
_PRIVATE = 0o700
_PROJECT = "llmops-elk"


def up(settings: Settings) -> int:
    """Make `.env`, start everything, bring the dashboards; 0 when all of it is there, 2 when docker is not."""
    state = settings.state.directory.absolute()
    try:
        compose = _compose()
        environment.check(compose.environment)
        _require_one_state(compose.environment, state)
        added = environment.complete(compose.environment, _given(state))
        if added:
            say(f"Wrote {', '.join(added)} to {compose.environment}, for your eyes only: it opens the data.")
        _lay_out(state, settings.elastic.keep_days)
        if not any(part.state == "running" for part in compose.parts()):
            _warn(state, environment.read(compose.environment))
        if code := compose.run("up", "--detach", "--remove-orphans"):
            say(f"Not everything started: `llmops elk status` says what, {_logs(compose)} says why.")
            return code
        authority = state / "elk" / "ca.crt"
        if code := compose.run("cp", f"elasticsearch:{_AUTHORITY}", str(authority)):
            say("The certificate of the stack's authority could not be copied out: `llmops elk up` again.")
            return code
    except (StackProblem, OSError) as error:
        return _complain(error)
    return welcome(environment.read(compose.environment), authority, settings.elastic.keep_days)


def down(*, delete_data: bool) -> int:
    """Stop it. The data stays in its volumes unless it is to go too."""
    try:
        compose = _compose()
        if not compose.environment.exists():
            raise EnvironmentProblem(
                f"There is no {compose.environment}, so nothing was started from here. If parts run all the same: "
                f"`docker compose -p {_PROJECT} down`."
            )
        environment.check(compose.environment)
        return compose.run("down", *(["--volumes"] if delete_data else []))
    except (StackProblem, OSError) as error:
        return _complain(error)


def status(*, as_json: bool) -> int:
    """Print each part's state; 0 all well, 1 something is not, 2 docker can't be asked."""
    try:
        compose = _compose()
        environment.check(compose.environment)
        parts = compose.parts() if compose.environment.exists() else []
    except (StackProblem, OSError) as error:
        return _complain(error)
    if as_json:
        rows = [dataclasses.asdict(part) | {"is_well": part.is_well} for part in parts]
        print(json.dumps(rows, indent=2))
    elif not parts:
        say("Nothing of the stack is here: `llmops elk up` starts it.")
    else:
        Console(highlight=False).print(_table(parts))
    return 0 if parts and all(part.is_well for part in parts) else 1


def _logs(compose: Compose) -> str:
    project = environment.read(compose.environment)["COMPOSE_PROJECT_NAME"]
    return f"`docker compose -p {project} logs PART`"


def _compose() -> Compose:
    """The one of this folder, or of our clone, with a docker that can be used. Raises ComposeProblem, and OSError."""
    try:
        folder = Path.cwd()
    except FileNotFoundError:
        raise ComposeProblem("The folder that you are in is gone: go to a clone of the repository.") from None
    compose = find(folder)
    compose.check()
    return compose


def _require_one_state(path: Path, state: Path) -> None:
    """Raises EnvironmentProblem where the containers would read another journal than the one that is written."""
    there = environment.read(path).get("LLMOPS_STATE")
    if there and Path(there) != state:
        raise EnvironmentProblem(
            f"LLMOPS_STATE in {path} is {there}, and the state directory is {state}: make them the same, "
            "or the containers read a journal that nobody writes."
        )


def _given(state: Path) -> dict[str, str]:
    return {"COMPOSE_PROJECT_NAME": _PROJECT, "LLMOPS_UID": str(os.getuid()), "LLMOPS_STATE": str(state)}


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
    ports[int(known.get("ELASTICSEARCH_PORT") or preflight.ELASTICSEARCH_PORT)] = "Elasticsearch"
    ports[int(known.get("KIBANA_PORT") or preflight.KIBANA_PORT)] = "Kibana"
    for sentence in preflight.warnings(state, ports):
        say(f"Warning: {sentence}")


def _complain(error: Exception) -> int:
    say(f"llmops elk: {in_words(error)}")
    return 2
