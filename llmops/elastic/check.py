"""Is what is there what should be there: every event of the journal, once, or known to be refused or still waiting."""

from __future__ import annotations

import collections
import dataclasses
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from elasticsearch import Elasticsearch, NotFoundError

from llmops.elastic.client import plain_words
from llmops.elastic.dead_letters import read_dead_letters
from llmops.elastic.journal import Line, batches
from llmops.elastic.streams import EVENT_STREAMS

_IDS = 5_000
"""Asked at once; a stream with several indices answers for each, far below the server's 65,536 buckets."""


@dataclasses.dataclass(slots=True, kw_only=True)
class StreamCheck:
    """One stream, counted by `event.id`. `missing`: shipped, says the checkpoint, but not there."""

    stream: str
    journal: int = 0
    there: int = 0
    waiting: int = 0
    refused: int = 0
    expired: int = 0
    twice: int = 0
    missing: list[str] = dataclasses.field(default_factory=list)

    @property
    def ok(self) -> bool:
        """Nothing is missing and nothing is there twice."""
        return not self.missing and not self.twice


def check(
    client: Elasticsearch,
    journal: Path,
    namespace: str,
    *,
    shipped: Mapping[str, int],
    dead_letters: Path,
    kept_since: Mapping[str, float],
    since: float = 0.0,
) -> list[StreamCheck]:
    """Compare the journal with the server. Raises ElasticProblem or OSError.

    shipped: bytes of each file, as the checkpoint says. kept_since: for each dataset, the moment before which the
    server may have deleted. since: events before it are not looked at.
    """
    dead = {(entry["file"], entry["offset"]) for entry in read_dead_letters(dead_letters)}
    found: dict[str, StreamCheck] = {}
    seen: set[str] = set()
    asked: dict[str, dict[str, tuple[Line, bool]]] = collections.defaultdict(dict)
    refresh(client)
    for batch in batches(journal, namespace):
        for line in batch.lines:
            if line.fault or line.at < since or line.event_id in seen:
                continue
            seen.add(line.event_id)
            result = found.setdefault(line.stream, StreamCheck(stream=line.stream))
            result.journal += 1
            if (batch.file, line.offset) in dead:
                result.refused += 1
                continue
            asked[line.stream][line.event_id] = (line, line.offset < shipped.get(batch.file, 0))
            if len(asked[line.stream]) == _IDS:
                _compare(client, result, asked.pop(line.stream), kept_since)
    for stream, ids in asked.items():
        _compare(client, found[stream], ids, kept_since)
    return sorted(found.values(), key=lambda result: result.stream)


def refresh(client: Elasticsearch) -> None:
    """Make what was taken visible to searches."""
    with plain_words(client):
        client.indices.refresh(index=[stream.pattern for stream in EVENT_STREAMS], ignore_unavailable=True)


def _compare(
    client: Elasticsearch,
    result: StreamCheck,
    ids: Mapping[str, tuple[Line, bool]],
    kept_since: Mapping[str, float],
) -> None:
    times = occurrences(client, result.stream, ids)
    result.there += len(times)
    result.twice += sum(count > 1 for count in times.values())
    for event_id, (line, shipped) in ids.items():
        if event_id in times:
            continue
        if line.at < kept_since.get(line.dataset, 0.0):
            result.expired += 1
        elif shipped:
            result.missing.append(event_id)
        else:
            result.waiting += 1


def occurrences(client: Elasticsearch, stream: str, ids: Iterable[str]) -> dict[str, int]:
    """How often the stream has each of these ids, over all its indices; those that it has not are left out."""
    wanted = list(ids)
    counted: dict[str, Any] = {"terms": {"field": "event.id", "size": len(wanted), "shard_size": len(wanted)}}
    with plain_words(client):
        try:
            answer = client.search(
                index=stream,
                query={"terms": {"event.id": wanted}},
                aggs={"ids": counted},
                size=0,
                allow_partial_search_results=False,
            )
        except NotFoundError:
            return {}
    return {bucket["key"]: bucket["doc_count"] for bucket in answer.body["aggregations"]["ids"]["buckets"]}


def advice(result: StreamCheck) -> Iterator[str]:
    """What to do about it."""
    if result.missing:
        first = result.missing[0]
        yield f"{result.stream}: {len(result.missing)} are missing (first {first}): `llmops elk backfill` sends them."
    if result.twice:
        yield (
            f"{result.stream}: {result.twice} are there more than once: count them by event.id; "
            "another shipper wrote this stream as well, or one without `_id = event.id`."
        )
