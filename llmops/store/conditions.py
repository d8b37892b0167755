"""What a request must be to be in the answer: conditions as data, which every store reads in its own language.

Two values only: a comparison holds or it does not. A request without the field equals nothing, contains nothing and is
neither more nor less than anything; so `!=` and `Not` hold for it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from operator import eq, ge, gt, le, lt
from types import MappingProxyType
from typing import Any, Literal, TypeAlias

Operator: TypeAlias = Literal["=", "!=", "<", "<=", ">", ">=", "~"]
"""`~` is "contains", upper and lower case told apart."""
Kind: TypeAlias = Literal["seconds", "count", "text", "flag", "moment"]
Value: TypeAlias = str | float | int | bool


@dataclasses.dataclass(frozen=True, slots=True)
class Field:
    """What a person may ask of a request.

    `column`: its name in the store. `attributes`: those of `RequestEvent` that it is read from, the first one present.
    """

    column: str
    kind: Kind
    attributes: tuple[str, ...]


FIELDS: Mapping[str, Field] = MappingProxyType(
    {
        "latency": Field("duration_s", "seconds", ("duration_s",)),
        "ttft": Field("ttft_s", "seconds", ("ttft_s",)),
        "tpot": Field("tpot_s", "seconds", ("tpot_s",)),
        "queue": Field("queue_s", "seconds", ("queue_s",)),
        "user": Field("user", "text", ("user_id", "user_hash")),
        "model": Field("model", "text", ("response_model", "request_model")),
        "version": Field("version", "text", ("model_version",)),
        "outcome": Field("outcome", "text", ("outcome",)),
        "error": Field("error_type", "text", ("error_type",)),
        "finish": Field("finish_reason", "text", ("finish_reasons",)),
        "id": Field("request_id", "text", ("request_id",)),
        "status": Field("status_code", "count", ("status_code",)),
        "tokens_in": Field("input_tokens", "count", ("input_tokens",)),
        "tokens_out": Field("output_tokens", "count", ("output_tokens",)),
        "synthetic": Field("synthetic", "flag", ("synthetic",)),
        "at": Field("at", "moment", ("at",)),
    }
)
"""By the name that a filter uses. `at` is `@timestamp` as Unix seconds; every attribute else has its `name_of`."""


@dataclasses.dataclass(frozen=True, slots=True)
class Comparison:
    """One field against one value; durations in seconds, moments in Unix seconds. `~` for text only."""

    name: str
    operator: Operator
    value: Value

    @property
    def field(self) -> Field:
        """The field that `name` means."""
        return FIELDS[self.name]


@dataclasses.dataclass(frozen=True, slots=True)
class Every:
    """All of these hold; true when there are none."""

    parts: tuple[Condition, ...]


@dataclasses.dataclass(frozen=True, slots=True)
class Some:
    """At least one of these holds; false when there are none."""

    parts: tuple[Condition, ...]


@dataclasses.dataclass(frozen=True, slots=True)
class Not:
    """This does not hold."""

    part: Condition


Condition: TypeAlias = Comparison | Every | Some | Not

_ORDER: Mapping[str, Callable[[Any, Any], bool]] = {"=": eq, "<": lt, "<=": le, ">": gt, ">=": ge}


def holds(condition: Condition, value_of: Callable[[str], Any]) -> bool:
    """Whether it holds for the request whose columns `value_of` gives; None is an absent one."""
    if isinstance(condition, Every):
        return all(holds(part, value_of) for part in condition.parts)
    if isinstance(condition, Some):
        return any(holds(part, value_of) for part in condition.parts)
    if isinstance(condition, Not):
        return not holds(condition.part, value_of)
    return _compares(condition, value_of(condition.field.column))


def _compares(condition: Comparison, there: Any) -> bool:
    if condition.operator == "!=":
        return bool(there != condition.value)
    if there is None:
        return False
    if condition.operator == "~":
        return str(condition.value) in there
    return bool(_ORDER[condition.operator](there, condition.value))
