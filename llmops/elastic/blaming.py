"""Whose the bad requests were: what Elasticsearch is asked, and what it counted."""

from __future__ import annotations

import collections
from collections.abc import Mapping
from typing import Any

from llmops.elastic import tallies
from llmops.elastic.queries import AWAITED, FAILED, NEVER, Query, every, field, slower, some
from llmops.store import Blame, Blamed, Over
from llmops.store.answers import most_blamed
from llmops.store.conditions import FIELDS

_HOUR_MS = 3_600_000


def bad(over: Over | None) -> Query:
    """Of eligible requests, which are to blame."""
    if over is None:
        return FAILED
    late = slower(over.than_s, over.what)
    return late if over.what in ("duration", "limit") else every(AWAITED, some([NEVER, late]))


def asked(by: Blamed) -> dict[str, Any]:
    """What is counted of the bad ones."""
    if by == "hour":
        return {"hours": {"date_histogram": {"field": "@timestamp", "fixed_interval": "1h", "min_doc_count": 1}}}
    if by == "error":
        return tallies.outcomes_asked()
    return tallies.usage_asked([field(attribute) for attribute in FIELDS[by].attributes])


def blamed(total: int, found: Mapping[str, Any], by: Blamed, limit: int) -> list[Blame]:
    """Of `total` bad ones."""
    counted: collections.Counter[str | None] = collections.Counter()
    if not total:
        return []
    if by == "hour":
        for each in found["hours"]["buckets"]:
            counted[f"{each['key'] // _HOUR_MS % 24:02d}"] += each["doc_count"]
    elif by == "error":
        failed = found["failed"]
        counted.update({each["key"]: each["doc_count"] for each in failed["slugs"]["buckets"]})
        counted[None] = total - failed["doc_count"]
    else:
        counted.update({each.key: each.requests for each in tallies.usage_of(found, tallies.MOST_KEYS)})
    return most_blamed(+counted, limit)
