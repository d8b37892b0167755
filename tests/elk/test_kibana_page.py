"""docs/kibana.md against a real server: every field is mapped, every filter and every aggregation runs."""

from __future__ import annotations

import dataclasses
import re

import pytest

from llmops.elastic.streams import STREAMS
from tests.elk.asking import Asked
from tests.elk.kql import fields_in, to_query
from tests.elk.proxy import ROOT

PAGE = (ROOT / "docs" / "kibana.md").read_text(encoding="utf-8")
_AGGREGATIONS = {"AVG": "avg", "SUM": "sum", "MAX": "max", "MIN": "min", "COUNT_DISTINCT": "cardinality"}


@dataclasses.dataclass(frozen=True)
class Answer:
    title: str
    kql: str
    esql: str

    @property
    def patterns(self) -> list[str]:
        """The streams behind FROM."""
        [line] = [line for line in self.esql.splitlines() if line.startswith("FROM ")]
        return [name.strip() for name in line.removeprefix("FROM ").split(",")]

    @property
    def fields(self) -> set[str]:
        """Every dotted name, and @timestamp: columns that the query makes itself have no dot."""
        text = re.sub(
            r'"[^"]*"', "", "\n".join(line for line in self.esql.splitlines() if not line.startswith("FROM "))
        )
        return set(re.findall(r"@timestamp|\b[a-z_]+(?:\.[a-z_0-9]+)+\b", text))


ANSWERS = [
    Answer(title, kql.strip(), esql.strip())
    for title, kql, esql in re.findall(
        r"^## (.+?)$.*?```kql\n(.*?)```.*?```esql\n(.*?)```", PAGE, re.DOTALL | re.MULTILINE
    )
]


def test_there_are_ten_and_each_has_both_queries() -> None:
    titles = re.findall(r"^## (\d+\. .+)$", PAGE, re.MULTILINE)
    assert [answer.title for answer in ANSWERS] == titles
    assert [int(title.split(".")[0]) for title in titles] == list(range(1, 11))


@pytest.mark.elastic
@pytest.mark.parametrize("answer", ANSWERS, ids=lambda answer: answer.title)
def test_its_fields_are_mapped_and_its_filter_runs(asked: Asked, answer: Answer) -> None:
    query = to_query(answer.kql)
    assert answer.fields
    for pattern in answer.patterns:
        types = asked.types(pattern)
        for field in {*answer.fields, *fields_in(query)}:
            assert field in types, f"{field} is not mapped in {pattern}"
        asked.search(pattern, {"query": query})


@pytest.mark.elastic
@pytest.mark.parametrize("answer", ANSWERS, ids=lambda answer: answer.title)
def test_its_aggregations_run_one_by_one(asked: Asked, answer: Answer) -> None:
    aggregations: dict[str, dict[str, object]] = {}
    for name, field in re.findall(r"\b(AVG|SUM|MAX|MIN|COUNT_DISTINCT)\(([\w.@]+)\)", answer.esql):
        aggregations[f"{name} {field}"] = {_AGGREGATIONS[name]: {"field": field}}
    for field in re.findall(r"\bMEDIAN\(([\w.@]+)\)", answer.esql):
        aggregations[f"MEDIAN {field}"] = {"percentiles": {"field": field, "percents": [50]}}
    for field, percent in re.findall(r"\bPERCENTILE\(([\w.@]+), (\d+)\)", answer.esql):
        aggregations[f"P{percent} {field}"] = {"percentiles": {"field": field, "percents": [int(percent)]}}
    for grouped in re.findall(r"\bBY ([^|]+)", answer.esql):
        for part in grouped.split(","):
            if re.fullmatch(r"\s*[\w.]+\s*", part):
                aggregations[f"BY {part}"] = {"terms": {"field": part.strip()}}
            elif "DATE_TRUNC" in part:
                aggregations["BY time"] = {"date_histogram": {"field": "@timestamp", "fixed_interval": "5m"}}
    assert bool(aggregations) == ("STATS" in answer.esql and not answer.title.startswith("10."))
    for pattern in answer.patterns:
        assert pattern in {stream.pattern for stream in STREAMS}
        asked.search(pattern, {"size": 0, "aggs": aggregations})
