"""Every panel of every dashboard, asked of a real server: its fields are mapped and fit, its aggregations run."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from llmops.elastic.dashboards import boards
from llmops.elastic.streams import STREAMS
from llmops.elastic.templates import template_of
from tests.elastic.server import ElasticServer
from tests.elk.documents import bulk_create, full
from tests.elk.lens import questions

PANELS = [
    pytest.param(panel["config"], id=f"{name}: {panel['config']['title']}")
    for name, body in boards().items()
    for panel in body["panels"]
]


class Asked:
    """A server that has one full document of each stream, in a namespace of its own."""

    def __init__(self, http: httpx.Client, namespace: str) -> None:
        self.http = http
        self._namespace = namespace
        for stream in STREAMS:
            http.put(f"/_index_template/{stream.template}", json=template_of(stream)).raise_for_status()
            [result] = bulk_create(http, stream.name(namespace), [full(stream, namespace)])
            assert result["status"] == 201

    def streams(self, pattern: str) -> str:
        assert pattern in {stream.pattern for stream in STREAMS}, f"no stream is called {pattern}"
        return pattern.removesuffix("*") + self._namespace

    def types(self, pattern: str) -> dict[str, str]:
        """Field -> type, as the server has it."""
        answer = self.http.get(f"/{self.streams(pattern)}/_field_caps", params={"fields": "*"}).json()["fields"]
        return {field: next(iter(kinds)) for field, kinds in answer.items()}

    def search(self, pattern: str, body: dict[str, Any]) -> dict[str, Any]:
        answer = self.http.post(f"/{self.streams(pattern)}/_search", json=body)
        assert answer.status_code == 200, answer.text
        result: dict[str, Any] = answer.json()
        assert result["_shards"]["failed"] == 0
        return result


@pytest.fixture(scope="module")
def asked(elastic_server: ElasticServer) -> Iterator[Asked]:
    with httpx.Client(base_url=elastic_server.url, auth=elastic_server.auth, timeout=30) as http:
        yield Asked(http, "dashboards")


@pytest.mark.elastic
@pytest.mark.parametrize("config", PANELS)
def test_a_panel_finds_its_fields_and_its_aggregations_run(asked: Asked, config: dict[str, Any]) -> None:
    for question in questions(config):
        types = asked.types(question.pattern)
        for field, fitting in question.needs.items():
            assert field in types, f"{field} is not mapped in {question.pattern}"
            assert not fitting or types[field] in fitting, f"{field} is {types[field]}, no good for this"
        result = asked.search(question.pattern, question.body)
        assert "aggregations" in result


@pytest.mark.elastic
def test_a_panel_with_a_wrong_field_would_be_found(asked: Asked) -> None:
    metric = {"operation": "average", "field": "event.outcome"}
    source = {"type": "data_view_spec", "index_pattern": STREAMS[0].pattern, "time_field": "@timestamp"}
    [question] = questions({"type": "metric", "data_source": source, "metrics": [metric]})
    assert asked.types(question.pattern)["event.outcome"] not in question.needs["event.outcome"]
    answer = asked.http.post(f"/{asked.streams(question.pattern)}/_search", json=question.body)
    assert answer.status_code == 400


@pytest.mark.parametrize(("name", "body"), boards().items())
def test_a_dashboard_is_whole(name: str, body: dict[str, Any]) -> None:
    assert name.startswith("llmops-") and body["title"].startswith("llmops: ")
    taken: set[tuple[int, int]] = set()
    for panel in body["panels"]:
        grid = panel["grid"]
        assert grid["x"] + grid["w"] <= 48, "Kibana's grid has 48 columns"
        cells = {(grid["x"] + x, grid["y"] + y) for x in range(grid["w"]) for y in range(grid["h"])}
        assert not cells & taken, f"{panel['config']['title']} lies over another panel"
        taken |= cells


def test_the_boards_show_what_was_promised() -> None:
    assert set(boards()) == {"llmops-requests", "llmops-tokens", "llmops-gpu", "llmops-slo", "llmops-benchmarks"}
    [latency] = [
        panel["config"]
        for panel in boards()["llmops-requests"]["panels"]
        if panel["config"]["title"].startswith("Latency")
    ]
    assert [y["percentile"] for y in latency["layers"][0]["y"]] == [50, 95, 99]
    assert latency["layers"][1]["thresholds"][0]["value"] == 3
