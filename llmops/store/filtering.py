"""Filters as people write them: `latency>3s & user=ann & outcome=failure`, read into a condition.

`&` before `|`, `!` before both, parentheses around anything. A value in quotes may hold anything; `\\` takes the next
character as it is. Durations are `3`, `3s`, `250ms`, `2m`, `1h`, `7d`; moments are RFC 3339, or so long ago.
"""

from __future__ import annotations

import difflib
import re
from typing import NoReturn, cast

from llmops.events.names import seconds_of
from llmops.store.conditions import FIELDS, Comparison, Condition, Every, Kind, Not, Operator, Some, Value

UNITS_S = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
OUTCOMES = ("success", "failure", "unknown")
NAMES = (*FIELDS, "since", "until")
_MOMENTS: dict[str, Operator] = {"since": ">=", "until": "<"}
_DEEPEST, _MOST = 40, 200
_DURATION = re.compile(r"(\d+(?:\.\d+)?|\.\d+)\s*(ms|s|m|h|d)?")
_NAME = re.compile(r"[A-Za-z_]+")
_OPERATOR = re.compile(r">=|<=|!=|==|=|<|>|~")
_BARE = re.compile(r"[^\s&|()!\"'=<>~]+")
_QUOTED = re.compile(r"\"((?:[^\"\\]|\\.)*)\"|'((?:[^'\\]|\\.)*)'", re.DOTALL)
_ORDERED: tuple[Operator, ...] = ("=", "!=", "<", "<=", ">", ">=")
_OPERATORS: dict[Kind, tuple[Operator, ...]] = {
    "seconds": _ORDERED,
    "count": _ORDERED,
    "moment": _ORDERED,
    "text": ("=", "!=", "~"),
    "flag": ("=", "!="),
}
_TOLD: dict[Kind, str] = {
    "seconds": "a duration, as in {name}>3s or {name}<250ms",
    "count": "a whole number, as in {name}>=500",
    "flag": "yes or no, as in {name}=no",
    "moment": "a moment: {name}>=2026-01-31T12:00Z, or so long ago as in {name}>=2h",
    "text": "text, as in {name}=word or {name}~part",
}


class BadFilter(ValueError):
    """This is no filter; `str(error)` is one sentence that says where and what would be right."""


def read_filter(text: str, now: float) -> Condition:
    """The condition that a filter means; `now` in Unix seconds is what `since=2h` counts from. Raises BadFilter."""
    return _Reader(text, now).whole()


def duration_s(text: str) -> float | None:
    """`250ms` or `3` as seconds; None when it is no duration."""
    found = _DURATION.fullmatch(text)
    return float(found[1]) * UNITS_S[found[2] or "s"] if found else None


def moment(text: str, now: float) -> float | None:
    """`2h` ago, or an RFC 3339 moment, as Unix seconds; None when it is neither. Without a zone it is UTC."""
    ago_s = duration_s(text) if text and text[-1] in "smhd" else None
    if ago_s is not None:
        return now - ago_s
    try:
        return seconds_of(text if re.search(r"(Z|[+-]\d\d:?\d\d)$", text) else f"{_timed(text)}+00:00")
    except (ValueError, OverflowError):
        return None


def _timed(text: str) -> str:
    return text if "T" in text or " " in text else f"{text}T00:00"


class _Reader:
    """One filter, from left to right."""

    def __init__(self, text: str, now: float) -> None:
        self.text = text
        self.now = now
        self.at = 0
        self.comparisons = 0

    def whole(self) -> Condition:
        """All of it."""
        if not self.text.strip():
            raise BadFilter("The filter is empty: write one as in latency>3s & outcome=failure.")
        condition = self._some(0)
        if self._peek():
            self._complain("here stands {what}, where `&`, `|` or the end was expected")
        return condition

    def _some(self, depth: int) -> Condition:
        parts = [self._every(depth)]
        while self._took("|"):
            parts.append(self._every(depth))
        return parts[0] if len(parts) == 1 else Some(tuple(parts))

    def _every(self, depth: int) -> Condition:
        parts = [self._one(depth)]
        while self._took("&"):
            parts.append(self._one(depth))
        return parts[0] if len(parts) == 1 else Every(tuple(parts))

    def _one(self, depth: int) -> Condition:
        if depth > _DEEPEST:
            self._complain(f"this is nested more than {_DEEPEST} times: write it flatter")
        if self._took("!"):
            return Not(self._one(depth + 1))
        if self._peek() == "(":
            opened = self.at
            self.at += 1
            inner = self._some(depth + 1)
            if not self._took(")"):
                self.at = opened
                self._complain("this parenthesis is never closed: add `)`")
            return inner
        return self._comparison()

    def _comparison(self) -> Condition:
        name = self._name()
        self.comparisons += 1
        if self.comparisons > _MOST:
            self._complain(f"a filter has at most {_MOST} comparisons")
        self._peek()
        begin = self.at
        operator = cast(Operator | None, (self._match(_OPERATOR) or "").replace("==", "=") or None)
        if operator not in _allowed(name):
            self.at = begin
            self._complain(f"after {name} comes one of {' '.join(_allowed(name))}; it is {_told(name)}")
        self._peek()
        begin = self.at
        value = self._meant(name, self._value())
        if value is None:
            self.at = begin
            self._complain(f"{name} is {_told(name)}")
        return Comparison("at", _MOMENTS[name], value) if name in _MOMENTS else Comparison(name, operator, value)

    def _name(self) -> str:
        self._peek()
        begin = self.at
        name = self._match(_NAME)
        if name is None:
            self._complain("here stands {what}, where a name was expected: one of " + ", ".join(NAMES))
        if name.lower() not in NAMES:
            begun = [known for known in NAMES if known.startswith(name.lower())]
            near = begun or difflib.get_close_matches(name.lower(), NAMES, n=1)
            self.at = begin
            self._complain(f"{name} is no name: {f'did you mean {near[0]}?' if near else 'use ' + ', '.join(NAMES)}")
        return name.lower()

    def _value(self) -> str:
        if quoted := _QUOTED.match(self.text, self.at):
            self.at = quoted.end()
            return re.sub(r"\\(.)", r"\1", quoted[1] if quoted[1] is not None else quoted[2], flags=re.DOTALL)
        if self._peek() in ('"', "'"):
            self._complain("this quote is never closed")
        found = self._match(_BARE)
        if found is None:
            self._complain("here stands {what}, where a value was expected; put odd ones into quotes")
        return found

    def _meant(self, name: str, text: str) -> Value | None:
        """The value in the units of the field; None when it is of another kind."""
        kind = _kind(name)
        if kind == "seconds":
            return duration_s(text)
        if kind == "moment":
            return moment(text, self.now)
        if kind == "flag":
            return {"yes": True, "true": True, "no": False, "false": False}.get(text.lower())
        if kind == "count":
            return int(text) if re.fullmatch(r"[0-9]{1,15}", text) else None
        if name == "outcome" and text not in OUTCOMES:
            return None
        return text.encode("utf-8", "replace").decode()

    def _match(self, pattern: re.Pattern[str]) -> str | None:
        found = pattern.match(self.text, self.at)
        if found is None:
            return None
        self.at = found.end()
        return found.group()

    def _peek(self) -> str:
        while self.at < len(self.text) and self.text[self.at].isspace():
            self.at += 1
        return self.text[self.at : self.at + 1]

    def _took(self, sign: str) -> bool:
        """Whether this sign stood here; `&&` and `||` are as good as `&` and `|`."""
        if self._peek() != sign:
            return False
        self.at += 2 if sign in "&|" and self.text[self.at + 1 : self.at + 2] == sign else 1
        return True

    def _complain(self, problem: str) -> NoReturn:
        here = self._peek()
        what = f"`{here}`" if here else "the end"
        end = "" if problem.endswith("?") else "."
        raise BadFilter(f"Filter, character {self.at + 1}: {problem.replace('{what}', what)}{end}")


def _kind(name: str) -> Kind:
    return "moment" if name in _MOMENTS else FIELDS[name].kind


def _allowed(name: str) -> tuple[Operator, ...]:
    return ("=",) if name in _MOMENTS else _OPERATORS[FIELDS[name].kind]


def _told(name: str) -> str:
    if name == "outcome":
        return f"one of {', '.join(OUTCOMES)}, as in outcome=failure"
    if name in _MOMENTS:
        return f"a moment: {name}=2026-01-31T12:00Z, or so long ago as in {name}=2h"
    return _TOLD[_kind(name)].format(name=name)
