"""What Elasticsearch counted, in the shapes of the store's answers."""

from __future__ import annotations

import collections
from collections.abc import Mapping, Sequence
from typing import Any

from llmops.elastic.queries import FAILED, Query, every, exists, field, milliseconds, no
from llmops.store import Bucket, Percentiles, Usage
from llmops.store.answers import filled, most_used, steps

MOST_KEYS = 10_000
"""Keys of one count: users, error types. The rarest of more would be left out."""
PER_KEY: Mapping[str, Any] = {
    "failed": {"filter": FAILED},
    "read": {"sum": {"field": field("input_tokens")}},
    "written": {"sum": {"field": field("output_tokens")}},
}
"""What is counted of each user, model or version."""
_PERCENTS = (50, 95, 99)
_DIGITS = 3
"""Significant digits of the histogram: its values are within 0.1 % of those that were written."""


def outcomes_asked() -> dict[str, Any]:
    """Outcomes, and of failures the slugs."""
    slugs = {"terms": {"field": field("error_type"), "missing": "_OTHER", "size": MOST_KEYS}}
    return {
        "outcomes": {"terms": {"field": field("outcome"), "missing": "unknown", "size": MOST_KEYS}},
        "failed": {"filter": FAILED, "aggs": {"slugs": slugs}},
    }


def outcomes_of(found: Mapping[str, Any]) -> dict[str, int]:
    """Failures by their slug, the others by their outcome."""
    if not found:
        return {}
    counted = collections.Counter(
        {each["key"]: each["doc_count"] for each in found["outcomes"]["buckets"] if each["key"] != "failure"}
    )
    counted.update({each["key"]: each["doc_count"] for each in found["failed"]["slugs"]["buckets"]})
    return dict(counted)


def sketch_asked(name: str, count: int) -> dict[str, Any]:
    """A histogram of high dynamic range, asked for the nearest ranks of so many values.

    Percents that lie a quarter before a rank mean that rank, whichever way the histogram rounds.
    """
    percents = [100 * (rank - 0.25) / count for rank in sorted(set(_ranks(count)))]
    hdr = {"number_of_significant_value_digits": _DIGITS}
    return {"sketch": {"percentiles": {"field": name, "percents": percents, "keyed": False, "hdr": hdr}}}


def _ranks(count: int) -> list[int]:
    """The nearest ranks, counted from 1; of few values several may be the same."""
    return [max(1, -(-count * percent // 100)) for percent in _PERCENTS]


def sketched(count: int, found: Mapping[str, Any]) -> Percentiles:
    """The histogram's values at the nearest ranks."""
    if not count:
        return Percentiles(count=0, p50=None, p95=None, p99=None, how="sketch")
    values = [each["value"] for each in found["sketch"]["values"]]
    of_rank = dict(zip(sorted(set(_ranks(count))), values, strict=True))
    p50, p95, p99 = (of_rank[rank] for rank in _ranks(count))
    return Percentiles(count=count, p50=p50, p95=p95, p99=p99, how="sketch")


def steps_asked(since: float, until: float, step_s: float) -> dict[str, Any]:
    """Each step as a range of its own: steps begin where the question does, and may be of any length."""
    count = steps(since, until, step_s)
    edges = [milliseconds(since + index * step_s) for index in range(count)] + [milliseconds(until)]
    ranges = [{"key": str(index), "from": edges[index], "to": edges[index + 1]} for index in range(count)]
    return {
        "steps": {
            "date_range": {"field": "@timestamp", "format": "epoch_millis", "ranges": ranges},
            "aggs": {**PER_KEY, "longest": {"max": {"field": field("duration_s")}}},
        }
    }


def steps_of(found: Mapping[str, Any], since: float, until: float, step_s: float) -> list[Bucket]:
    """Steps without requests stay empty."""
    buckets = {
        int(each["key"]): Bucket(
            start=since + int(each["key"]) * step_s,
            requests=each["doc_count"],
            failed=each["failed"]["doc_count"],
            output_tokens=int(each["written"]["value"]),
            max_duration_s=each["longest"]["value"],
        )
        for each in found.get("steps", {"buckets": []})["buckets"]
        if each["doc_count"]
    }
    return filled(buckets, since, step_s, steps(since, until, step_s))


def usage_asked(names: Sequence[str]) -> dict[str, Any]:
    """By the first of these fields that a request has, and those that have none."""
    asked: dict[str, Any] = {}
    for place, name in enumerate(names):
        only: Query = every(exists(name), *(no(exists(earlier)) for earlier in names[:place]))
        by = {"terms": {"field": name, "size": MOST_KEYS}, "aggs": dict(PER_KEY)}
        asked[f"by{place}"] = {"filter": only, "aggs": {"keys": by}}
    return asked | {"none": {"filter": every(*(no(exists(name)) for name in names)), "aggs": dict(PER_KEY)}}


def usage_of(found: Mapping[str, Any], limit: int) -> list[Usage]:
    """A key that stands in two fields is one key."""
    sums: dict[str | None, list[int]] = collections.defaultdict(lambda: [0, 0, 0, 0])
    for name, part in found.items():
        rows = [(None, part)] if name == "none" else [(each["key"], each) for each in part["keys"]["buckets"]]
        for key, row in rows:
            had = (row["doc_count"], row["failed"]["doc_count"], row["read"]["value"], row["written"]["value"])
            sums[key] = [before + int(more) for before, more in zip(sums[key], had, strict=True)]
    return most_used(((key, had) for key, had in sums.items() if had[0]), limit)
