"""A condition in SQL: the text and its parameters. Names come from the table of fields, values are always bound."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from llmops.store.conditions import Comparison, Condition, Every, Not

_ALL, _NONE = "1", "0"


def to_sql(condition: Condition | None) -> tuple[str, dict[str, Any]]:
    """An expression that is 1 or 0, never NULL, and its values by name; 1 for no condition."""
    values: dict[str, Any] = {}
    return (_ALL if condition is None else _expression(condition, values)), values


def _expression(condition: Condition, values: dict[str, Any]) -> str:
    if isinstance(condition, Comparison):
        return _comparison(condition, values)
    if isinstance(condition, Not):
        return f"NOT {_expression(condition.part, values)}"
    if isinstance(condition, Every):
        return _joined(" AND ", condition.parts, values, _ALL)
    return _joined(" OR ", condition.parts, values, _NONE)


def _joined(word: str, parts: Sequence[Condition], values: dict[str, Any], empty: str) -> str:
    return f"({word.join(_expression(part, values) for part in parts)})" if parts else empty


def _comparison(condition: Comparison, values: dict[str, Any]) -> str:
    column, name = condition.field.column, f"w{len(values)}"
    values[name] = condition.value
    if condition.operator == "!=":
        return f"({column} IS NOT :{name})"
    if condition.operator == "~":
        return f"(coalesce(instr({column}, :{name}), 0) > 0)"
    return f"coalesce({column} {condition.operator} :{name}, 0)"
