"""Every panel of every dashboard, asked of a real server: its fields are mapped and fit, its aggregations run."""

from __future__ import annotations

from typing import Any

import pytest

from llmops.elastic.dashboards import boards
from llmops.elastic.streams import STREAMS
from tests.elk.asking import Asked
from tests.elk.lens import questions

PANELS = [
    pytest.param(panel["config"], id=f"{name}: {panel['config']['title']}")
    for name, body in boards().items()
    for panel in body["panels"]
]


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
