"""What `llmops elk up` does once the parts run: streams as this version writes them, dashboards, where to look."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeVar

from llmops.elastic.client import connect
from llmops.elastic.dashboards import import_all
from llmops.elastic.errors import ElasticProblem
from llmops.elastic.setup import prepare
from llmops.elastic.stack.preflight import ELASTICSEARCH_PORT, KIBANA_PORT
from llmops.settings import ElasticSettings
from llmops.shell.shipping import say

Result = TypeVar("Result")
USER = "elastic"
_STARTS_S = 300.0
"""How long a part may take to answer after its container has started."""
_PAUSE_S = 3.0


def welcome(known: Mapping[str, str], authority: Path, keep_days: Mapping[str, int]) -> int:
    """Bring both, say where they are; 0 when all of it is there, 1 when not. known: the stack's `.env`."""
    kibana = f"https://localhost:{known.get('KIBANA_PORT') or KIBANA_PORT}"
    password = known["ELASTIC_PASSWORD"]
    dials = ElasticSettings.model_validate(
        {"url": address(known), "username": USER, "password": password, "ca_certs": authority}
    )
    try:
        for sentence in when_it_answers(lambda: _bring_streams(dials, keep_days), patience_s=_STARTS_S):
            say(sentence)
        put = when_it_answers(lambda: import_all(kibana, (USER, password), ca_certs=authority), patience_s=_STARTS_S)
    except ElasticProblem as problem:
        say(f"The parts run, but streams and dashboards are not all there: {problem} Then: `llmops elk up` again.")
        return 1
    say(f"Kibana: {kibana}, user {USER}, password in .env; {len(put)} dashboards. Its authority: {authority}")
    say("The API behind nginx: http://127.0.0.1:8080/v1, with a key (`llmops keys create NAME`).")
    return 0


def address(known: Mapping[str, str]) -> str:
    """Of the stack's Elasticsearch, on this machine; its certificate names it."""
    return f"https://127.0.0.1:{known.get('ELASTICSEARCH_PORT') or ELASTICSEARCH_PORT}"


def when_it_answers(do: Callable[[], Result], *, patience_s: float, pause_s: float = _PAUSE_S) -> Result:
    """Do it as soon as the server takes it. Raises ElasticProblem when it refuses, or stays away for so long."""
    deadline = time.monotonic() + patience_s
    while True:
        try:
            return do()
        except ElasticProblem as problem:
            if not problem.passing or time.monotonic() > deadline:
                raise
        time.sleep(pause_s)


def _bring_streams(dials: ElasticSettings, keep_days: Mapping[str, int]) -> list[str]:
    """The step `setup` installs templates; only this rolls streams over and changes how long those there are kept."""
    with connect(dials) as client:
        return list(prepare(client, keep_days))
