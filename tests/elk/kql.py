"""The part of KQL that the dashboards and the documents use, as the queries that Kibana makes of it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, TypeAlias

Query: TypeAlias = dict[str, Any]
_TOKEN = re.compile(r'\s*(?:(\()|(\))|(<=|>=|<|>|:)|("(?:[^"\\]|\\.)*")|([^\s():<>"]+))')
_RANGE = {"<": "lt", "<=": "lte", ">": "gt", ">=": "gte"}


def to_query(text: str) -> Query:
    """The query; ValueError for what is not in this part of the language."""
    reader = _Reader(text)
    if not reader.tokens:
        return {"match_all": {}}
    query = reader.either()
    if reader.tokens:
        raise ValueError(f"{text!r}: {reader.tokens[0]!r} is one word too many")
    return query


def fields_in(query: Query) -> Iterator[str]:
    """Each field that a query asks for."""
    for kind, inner in query.items():
        if kind in ("match", "match_phrase", "range", "wildcard"):
            yield from inner
        elif kind == "exists":
            yield inner["field"]
        elif kind == "bool":
            for clauses in inner.values():
                for clause in clauses if isinstance(clauses, list) else []:
                    yield from fields_in(clause)


class _Reader:
    def __init__(self, text: str) -> None:
        self.tokens: list[str] = []
        place = 0
        while place < len(text.rstrip()):
            found = _TOKEN.match(text, place)
            if found is None:
                raise ValueError(f"{text!r} can't be read from {text[place:]!r} on")
            self.tokens.append(found.group().strip())
            place = found.end()

    def either(self) -> Query:
        clauses = [self.both()]
        while self._takes("or"):
            clauses.append(self.both())
        return clauses[0] if len(clauses) == 1 else {"bool": {"should": clauses, "minimum_should_match": 1}}

    def both(self) -> Query:
        clauses = [self.one()]
        while self._takes("and"):
            clauses.append(self.one())
        return clauses[0] if len(clauses) == 1 else {"bool": {"filter": clauses}}

    def one(self) -> Query:
        if self._takes("not"):
            return {"bool": {"must_not": [self.one()]}}
        if self._takes("("):
            inner = self.either()
            if not self._takes(")"):
                raise ValueError("a bracket is not closed")
            return inner
        field, operator = self._next(), self._next()
        if operator in _RANGE:
            return {"range": {field: {_RANGE[operator]: self._next().strip('"')}}}
        if operator != ":":
            raise ValueError(f"{operator!r} after {field!r}")
        if not self._takes("("):
            return _match(field, self._next())
        values = [_match(field, self._next())]
        while self._takes("or"):
            values.append(_match(field, self._next()))
        if not self._takes(")"):
            raise ValueError("a bracket is not closed")
        return {"bool": {"should": values, "minimum_should_match": 1}}

    def _takes(self, word: str) -> bool:
        if self.tokens and self.tokens[0].lower() == word:
            self.tokens.pop(0)
            return True
        return False

    def _next(self) -> str:
        if not self.tokens:
            raise ValueError("it ends too early")
        return self.tokens.pop(0)


def _match(field: str, value: str) -> Query:
    if value == "*":
        return {"exists": {"field": field}}
    if value.startswith('"'):
        return {"match_phrase": {field: value[1:-1]}}
    if "*" in value:
        return {"wildcard": {field: {"value": value}}}
    return {"match": {field: value}}
