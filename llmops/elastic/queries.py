"""Questions in Elasticsearch's words: spans, conditions, and what counts as an eligible or a successful request."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, TypeAlias

from llmops.events import BenchmarkEvent, RequestEvent
from llmops.events.names import name_of
from llmops.store.columns import CANARY, MEASURES
from llmops.store.conditions import Comparison, Condition, Every, Not
from llmops.store.contract import Late

Query: TypeAlias = dict[str, Any]

_RANGES = {"<": "lt", "<=": "lte", ">": "gt", ">=": "gte"}
_LATEST_MS = 1 << 53
_SLACK_MS = 1e-3
"""A double of today's milliseconds is only so exact; documents have whole ones."""


def field(attribute: str) -> str:
    """The document's name of an attribute of requests."""
    return name_of(RequestEvent, attribute)


def span(since: float, until: float) -> Query:
    """`since <= @timestamp < until`, in Unix seconds; infinities are allowed."""
    return {"range": {"@timestamp": {"gte": milliseconds(since), "lt": milliseconds(until), "format": "epoch_millis"}}}


def milliseconds(moment: float) -> int:
    """The first whole millisecond that is not before the moment."""
    if not math.isfinite(moment):
        return -_LATEST_MS if moment < 0 else _LATEST_MS
    return max(-_LATEST_MS, min(_LATEST_MS, math.ceil(moment * 1000 - _SLACK_MS)))


def every(*parts: Query) -> Query:
    """All of them."""
    return {"bool": {"filter": list(parts)}}


def some(parts: Sequence[Query]) -> Query:
    """At least one of them; none when there are none."""
    return {"bool": {"should": list(parts), "minimum_should_match": 1}} if parts else {"match_none": {}}


def no(part: Query) -> Query:
    """Not that; true where the field is absent."""
    return {"bool": {"must_not": [part]}}


def equals(name: str, value: object) -> Query:
    """Exactly this value."""
    return {"term": {name: {"value": value}}}


def exists(name: str) -> Query:
    """The document has the field."""
    return {"exists": {"field": name}}


NOT_SYNTHETIC = no(equals(field("synthetic"), True))
FAILED = equals(field("outcome"), "failure")
ELIGIBLE = every(no(equals(field("slo_eligible"), False)), NOT_SYNTHETIC)
SUCCESSFUL = every(equals(field("outcome"), "success"), NOT_SYNTHETIC)


AWAITED = every(ELIGIBLE, some([exists(field("ttft_s")), FAILED]))
"""Had a first token, or failed before it."""
NEVER = no(exists(field("ttft_s")))
LIMITED = every(ELIGIBLE, exists(field("over_limit")))
"""Have a limit of their own."""
PROBE = equals(name_of(BenchmarkEvent, "suite"), CANARY)
ANSWERED = every(
    {"range": {name_of(BenchmarkEvent, "completed"): {"gt": 0}}},
    no({"range": {name_of(BenchmarkEvent, "failed"): {"gt": 0}}}),
)


def slower(slow_s: float, by: Late = "duration") -> Query:
    """Longer than this in all, or to the first token."""
    if by == "limit":
        return equals(field("over_limit"), True)
    name = field(MEASURES[by])
    if not math.isfinite(slow_s):
        return {"match_none": {}} if slow_s > 0 else exists(name)
    return {"range": {name: {"gt": slow_s}}}


def query_of(condition: Condition | None) -> Query:
    """A condition as a query; like the condition, it holds or does not, also where a field is absent."""
    if condition is None:
        return {"match_all": {}}
    if isinstance(condition, Comparison):
        return _comparison(condition)
    if isinstance(condition, Not):
        return no(query_of(condition.part))
    parts = [query_of(part) for part in condition.parts]
    return every(*parts) if isinstance(condition, Every) else some(parts)


def _comparison(condition: Comparison) -> Query:
    if condition.operator == "!=":
        return no(_comparison(Comparison(condition.name, "=", condition.value)))
    if condition.name == "at":
        return _moment(condition)
    if condition.field.kind == "flag" and condition.operator == "=":
        truth = equals(field(condition.field.attributes[0]), True)
        return truth if condition.value else no(truth)
    names = [field(attribute) for attribute in condition.field.attributes]
    return some(
        [
            every(_compared(name, condition), *(no(exists(earlier)) for earlier in names[:place]))
            for place, name in enumerate(names)
        ]
    )


def _compared(name: str, condition: Comparison) -> Query:
    value = condition.value
    if isinstance(value, str):
        value = value.encode("utf-8", "replace").decode("utf-8")
    if condition.operator == "=":
        return equals(name, value)
    if condition.operator == "~":
        escaped = "".join(f"\\{letter}" if letter in "\\*?" else letter for letter in str(value))
        return {"wildcard": {name: {"value": f"*{escaped}*"}}}
    return {"range": {name: {_RANGES[condition.operator]: value}}}


def _moment(condition: Comparison) -> Query:
    """Moments as whole milliseconds, so that a limit that lies between two counts for the right side."""
    at = float(condition.value)
    ends = {"<": (-math.inf, at), ">=": (at, math.inf), "=": (at, at + 1e-3)}
    if condition.operator in ends:
        return span(*ends[condition.operator])
    return no(span(-math.inf, at + 1e-3)) if condition.operator == ">" else span(-math.inf, at + 1e-3)
