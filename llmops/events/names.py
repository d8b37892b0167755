"""How Python attributes become ECS and OpenTelemetry names: the only place that knows both.

Every attribute of an event dataclass is declared with `named(...)`, which records the document's field name
and its Elasticsearch type. Names are ECS core (`event.*`, `http.*`), OpenTelemetry's `gen_ai.*` and `hw.*`,
and `llmops.*` for what has no name there. The GenAI conventions are still in development, so no other module
may spell a `gen_ai.*` name: use `name_of(RequestEvent, "input_tokens")`.
"""

from __future__ import annotations

import dataclasses
import math
from datetime import UTC, datetime
from typing import Any, Literal, TypeAlias

SCHEMA_VERSION = "1"
ECS_VERSION = "9.0.0"

Document: TypeAlias = dict[str, Any]
"""A flat JSON object: dotted field name -> value. `@timestamp` and `event.id` come first."""

FieldType = Literal["keyword", "text", "long", "double", "boolean", "date", "ip", "flattened"]


def named(field: str, kind: FieldType = "keyword", *, default: Any = None) -> Any:
    """A dataclass attribute that is written as `field`, of Elasticsearch type `kind`; None is not written."""
    return dataclasses.field(default=default, metadata={"field": field, "kind": kind})


def required(field: str, kind: FieldType = "keyword") -> Any:
    """Like `named`, for an attribute that every event must give."""
    return dataclasses.field(metadata={"field": field, "kind": kind})


_fields: dict[type, dict[str, tuple[str, FieldType]]] = {}


def fields_of(event_type: type) -> dict[str, tuple[str, FieldType]]:
    """Attribute -> (document field, Elasticsearch type) of an event dataclass, in declaration order."""
    if event_type not in _fields:
        _fields[event_type] = {
            field.name: (field.metadata["field"], field.metadata["kind"])
            for field in dataclasses.fields(event_type)
            if "field" in field.metadata
        }
    return _fields[event_type]


def name_of(event_type: type, attribute: str) -> str:
    """The document field of an attribute, for readers that query documents."""
    return fields_of(event_type)[attribute][0]


def to_fields(event: Any) -> Document:
    """The event's own fields as a flat document, without the header; absent values are left out."""
    document: Document = {}
    for attribute, (field, kind) in fields_of(type(event)).items():
        value = _to_json(getattr(event, attribute), kind)
        if value is not None:
            document[field] = value
    return document


def _to_json(value: Any, kind: FieldType) -> Any:
    """`value` as its type is written: dates as RFC 3339, doubles with a decimal, non-finite numbers dropped."""
    if value is None or value == ():
        return None
    if kind == "date":
        return timestamp(value)
    if kind == "double":
        number = float(value)
        return number if math.isfinite(number) else None
    if kind == "long":
        return int(value)
    return list(value) if isinstance(value, tuple) else value


def timestamp(seconds: float) -> str:
    """Unix seconds as RFC 3339 UTC with milliseconds, `2026-01-31T23:59:59.123Z`."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").removesuffix("+00:00") + "Z"


def seconds_of(text: str) -> float:
    """Unix seconds of an RFC 3339 timestamp; ValueError if it is none."""
    return datetime.fromisoformat(text).timestamp()
