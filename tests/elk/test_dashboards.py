"""Every panel of every dashboard, asked of a real server: its fields are mapped and fit, its aggregations run."""

from __future__ import annotations

import importlib
import pkgutil
import re
from collections.abc import Iterator
from typing import Any, get_args

import pytest

import llmops.alerts
from llmops.alerts.evaluate import slo_rule_id
from llmops.alerts.lifecycle import Action
from llmops.alerts.rules import Severity
from llmops.elastic.dashboards import boards
from llmops.elastic.streams import STREAMS
from llmops.overview.objectives import objectives_of
from llmops.settings import ObjectiveSettings
from tests.elk.asking import Asked
from tests.elk.lens import questions
from tests.elk.proxy import ROOT

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


def rules() -> set[str]:
    """The id of every rule that watch judges by: those that a module of alerts names, and two for each objective."""
    modules = [
        importlib.import_module(f"llmops.alerts.{found.name}") for found in pkgutil.iter_modules(llmops.alerts.__path__)
    ]
    named = {value for module in modules for name, value in vars(module).items() if name.endswith("RULE_ID")}
    objectives = objectives_of(ObjectiveSettings())
    return named | {slo_rule_id(each.id, severity) for each in objectives for severity in get_args(Severity)}


def asked_for(node: Any) -> Iterator[tuple[str, str]]:
    """(field, value or pattern) of every filter in the body of a search."""
    if isinstance(node, dict):
        for kind in ("match", "match_phrase", "wildcard"):
            for field, value in node.get(kind, {}).items():
                yield field, value["value"] if isinstance(value, dict) else value
        for inner in node.values():
            yield from asked_for(inner)
    elif isinstance(node, list):
        for inner in node:
            yield from asked_for(inner)


@pytest.mark.parametrize("config", PANELS)
def test_a_panel_about_alerts_asks_for_what_alerts_can_say(config: dict[str, Any]) -> None:
    words = {
        "rule.id": rules(),
        "event.action": set(get_args(Action)),
        "llmops.alert.severity": set(get_args(Severity)),
    }
    for question in questions(config):
        for field, value in asked_for(question.body):
            assert field not in words or value in words[field], f"no alert has {field}: {value}"


def test_the_rules_are_those_of_the_page_about_alerts() -> None:
    page = (ROOT / "docs" / "alerts.md").read_text()
    listed = {line.split("`")[1] for line in page.splitlines() if line.startswith("| `")}
    assert {re.sub(r"^(slo\..+)\.(page|ticket)$", r"\1.*", rule) for rule in rules()} == listed


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
