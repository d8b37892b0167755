"""What a panel asks of Elasticsearch: its operations as the aggregations that Lens makes of them."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator
from typing import Any, TypeAlias

from tests.elk.kql import fields_in, to_query

Node: TypeAlias = dict[str, Any]
NUMERIC = ("long", "double")
_SIMPLE = {"average": "avg", "sum": "sum", "min": "min", "max": "max", "unique_count": "cardinality"}
_CALL = re.compile(r"(count|average|sum|min|max|unique_count)\(\s*(?:kql='([^']*)'|([\w.@]*))\s*\)")


@dataclasses.dataclass(frozen=True)
class Question:
    """One search. `needs`: field -> the types that its operations can work on."""

    pattern: str
    body: Node
    needs: dict[str, tuple[str, ...]]


def questions(config: Node) -> Iterator[Question]:
    """The searches of one panel."""
    kql = config.get("query", {}).get("expression", "")
    if config["type"] == "xy":
        for layer in config["layers"]:
            if layer["type"] != "reference_lines":
                buckets = [layer["x"], *([layer["breakdown_by"]] if "breakdown_by" in layer else [])]
                yield _question(layer["data_source"], kql, buckets, layer["y"])
    elif config["type"] in ("metric", "data_table"):
        yield _question(config["data_source"], kql, config.get("rows", []), config["metrics"])
    else:
        raise ValueError(f"no such panel: {config['type']}")


def _question(source: Node, kql: str, buckets: list[Node], metrics: list[Node]) -> Question:
    needs: dict[str, tuple[str, ...]] = {source["time_field"]: ("date",)}
    aggregations: Node = {}
    for number, metric in enumerate(metrics):
        aggregations |= {f"m{number}-{at}": each for at, each in enumerate(_metric(metric, needs))}
    for bucket in reversed(buckets):
        aggregations = {"b": {**_bucket(bucket, needs), "aggs": aggregations}}
    query = to_query(kql)
    _need(needs, fields_in(query), ())
    body = {"size": 0, "track_total_hits": True, "query": query, "aggs": aggregations}
    return Question(source["index_pattern"], body, needs)


def _bucket(bucket: Node, needs: dict[str, tuple[str, ...]]) -> Node:
    operation = bucket["operation"]
    if operation == "date_histogram":
        _need(needs, [bucket["field"]], ("date",))
        return {"date_histogram": {"field": bucket["field"], "fixed_interval": "1h"}}
    if operation == "terms":
        [field] = bucket["fields"]
        _need(needs, [field], ("keyword", "boolean", "ip", "long"))
        return {"terms": {"field": field, "size": bucket["limit"]}}
    if operation == "filters":
        queries = {each["label"]: to_query(each["filter"]["expression"]) for each in bucket["filters"]}
        for query in queries.values():
            _need(needs, fields_in(query), ())
        return {"filters": {"filters": queries}}
    raise ValueError(f"no such bucket: {operation}")


def _metric(metric: Node, needs: dict[str, tuple[str, ...]]) -> Iterator[Node]:
    if metric["operation"] == "formula":
        left = _CALL.sub("1", metric["formula"])
        if not re.fullmatch(r"[\d\s+\-*/().]+", left):
            raise ValueError(f"not understood: {left!r} of {metric['formula']!r}")
        for operation, kql, field in _CALL.findall(metric["formula"]):
            yield _filtered(_value(operation, field, {}, needs), kql, needs)
        return
    kql = metric.get("filter", {}).get("expression", "")
    yield _filtered(_value(metric["operation"], metric.get("field", ""), metric, needs), kql, needs)


def _value(operation: str, field: str, metric: Node, needs: dict[str, tuple[str, ...]]) -> Node:
    if operation == "count":
        return {"value_count": {"field": field or "@timestamp"}}
    date = ("date",) if operation in ("min", "max") else ()
    _need(needs, [field], (*NUMERIC, *date) if operation != "unique_count" else ("keyword", "ip", *NUMERIC))
    if operation in ("percentile", "median"):
        return {"percentiles": {"field": field, "percents": [metric.get("percentile", 50)]}}
    return {_SIMPLE[operation]: {"field": field}}


def _filtered(value: Node, kql: str, needs: dict[str, tuple[str, ...]]) -> Node:
    if not kql:
        return {"filter": {"match_all": {}}, "aggs": {"value": value}}
    query = to_query(kql)
    _need(needs, fields_in(query), ())
    return {"filter": query, "aggs": {"value": value}}


def _need(needs: dict[str, tuple[str, ...]], fields: Any, types: tuple[str, ...]) -> None:
    """Remember what a field must be; () is any type, as long as it is mapped."""
    for field in fields:
        before = needs.get(field, ())
        needs[field] = tuple(kind for kind in before if kind in types) if before and types else (before or types)
