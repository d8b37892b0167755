"""Objectives as a TOML text: one [[objective]] each."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from llmops.documents import BadDocument, parse_toml
from llmops.slo.errors import BadObjectives
from llmops.slo.fields import distinct, near, objective_of, shown, window_of
from llmops.slo.objectives import Objective

_TABLE = "objective"


def objectives_of_toml(text: str) -> tuple[Objective, ...]:
    """Those that the text has, in its order. Raises BadObjectives with one sentence."""
    try:
        document = parse_toml(text)
    except BadDocument as error:
        raise BadObjectives(f"it {error}") from None
    for name in document:
        if name != _TABLE:
            raise BadObjectives(f"{shown(name)} is no part of it{near(name, [_TABLE])}")
    tables = document.get(_TABLE, [])
    if not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables):
        raise BadObjectives("objective is no list of tables: write [[objective]], with two brackets, above each")
    return distinct(objective_of(table, nth) for nth, table in enumerate(tables, 1))


def to_toml(objectives: Iterable[Objective]) -> str:
    """The text that `objectives_of_toml` reads back as the same ones. Raises BadObjectives for an odd window."""
    return "\n".join(_table(objective) for objective in objectives)


def _table(objective: Objective) -> str:
    fields: dict[str, Any] = {
        "id": objective.id,
        "measure": objective.measure,
        "threshold_s": objective.threshold_s,
        "target": objective.target,
        "window": window_of(objective.window_s, objective.id),
        "name": objective.name or None,
    }
    lines = [f"{name} = {_value(value)}" for name, value in fields.items() if value is not None]
    return "\n".join([f"[[{_TABLE}]]", *lines, ""])


def _value(value: str | float) -> str:
    """A string in JSON's escapes, which are TOML's too; a float as Python spells it."""
    if not isinstance(value, str):
        return repr(float(value))
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007F")
