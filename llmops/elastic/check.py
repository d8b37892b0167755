"""Is what is there what should be there: every event of the journal, once, or known to be refused or still waiting."""

from __future__ import annotations

import collections
import dataclasses
from collections.abc import Iterable, Iterator, Mapping, Set
from pathlib import Path
from typing import Any

from elasticsearch import Elasticsearch, NotFoundError

from llmops.elastic.client import is_elasticsearch, plain_words
from llmops.elastic.dead_letters import read_dead_letters
from llmops.elastic.errors import JournalUnread
from llmops.elastic.journal import Line, batches
from llmops.elastic.streams import EVENT_STREAMS

_IDS = 5_000
"""Asked at once; a stream with several indices answers for each, far below the server's 65,536 buckets."""
_NAMED = 1_000
"""Missing events that are named; more are counted."""
OVERDUE_S = 300.0
"""Whoever ships is seconds behind: what waits for so long is brought by nobody."""


@dataclasses.dataclass(slots=True, kw_only=True)
class StreamCheck:
    """One stream, counted by `event.id`. `missing`: shipped, says the checkpoint, but not there.

    `missing_ids`: the first of them. `overdue`: of those that wait, the ones that are older than minutes.
    """

    stream: str
    journal: int = 0
    there: int = 0
    waiting: int = 0
    overdue: int = 0
    refused: int = 0
    expired: int = 0
    twice: int = 0
    missing: int = 0
    missing_ids: list[str] = dataclasses.field(default_factory=list)

    @property
    def ok(self) -> bool:
        """Nothing is missing, nothing is there twice, and nothing waits for somebody who does not come."""
        return not (self.missing or self.twice or self.overdue)


def check(
    client: Elasticsearch,
    journal: Path,
    namespace: str,
    *,
    shipped: Mapping[str, int],
    dead_letters: Path,
    kept_since: Mapping[str, float],
    now: float,
    since: float = 0.0,
) -> tuple[list[StreamCheck], JournalUnread | None]:
    """Compare the journal with the server; beside it what of the journal can't be read. Raises ElasticProblem, OSError.

    shipped: bytes of each file, as the checkpoint says; empty where somebody else ships. kept_since: for each dataset,
    the moment before which the server may have deleted. since: events before it are not looked at.
    """
    dead = {entry["event.id"] for entry in read_dead_letters(dead_letters)}
    comparing = _Comparing(client=client, dead=dead, kept_since=kept_since, now=now, ships_here=bool(shipped))
    seen: set[int] = set()  # hashes: of millions of events they take half the memory
    unread: JournalUnread | None = None
    refresh(client)
    try:
        for batch in batches(journal, namespace):
            for line in batch.lines:
                if not line.fault and line.at >= since and (known := hash(line.event_id)) not in seen:
                    seen.add(known)
                    comparing.take(line, is_shipped=line.offset < shipped.get(batch.file, 0))
    except JournalUnread as error:
        unread = error
    return comparing.finish(), unread


@dataclasses.dataclass(slots=True, kw_only=True)
class _Comparing:
    """Asks the server for every event, many at once; what it lacks is sorted by the reason."""

    client: Elasticsearch
    dead: Set[str]
    kept_since: Mapping[str, float]
    now: float
    ships_here: bool
    found: dict[str, StreamCheck] = dataclasses.field(default_factory=dict)
    asked: dict[str, dict[str, tuple[Line, bool]]] = dataclasses.field(
        default_factory=lambda: collections.defaultdict(dict)
    )

    def take(self, line: Line, *, is_shipped: bool) -> None:
        self.found.setdefault(line.stream, StreamCheck(stream=line.stream)).journal += 1
        self.asked[line.stream][line.event_id] = (line, is_shipped)
        if len(self.asked[line.stream]) == _IDS:
            self._compare(line.stream)

    def finish(self) -> list[StreamCheck]:
        for stream in list(self.asked):
            self._compare(stream)
        return sorted(self.found.values(), key=lambda result: result.stream)

    def _compare(self, stream: str) -> None:
        result, ids = self.found[stream], self.asked.pop(stream)
        times = occurrences(self.client, stream, ids)
        result.there += len(times)
        result.twice += sum(count > 1 for count in times.values())
        for event_id, (line, is_shipped) in ids.items():
            if event_id not in times:
                self._lacks(result, line, is_shipped=is_shipped)

    def _lacks(self, result: StreamCheck, line: Line, *, is_shipped: bool) -> None:
        may_be_deleted = is_shipped or not self.ships_here
        if may_be_deleted and line.at < self.kept_since.get(line.dataset, 0.0):
            result.expired += 1
        elif line.event_id in self.dead:
            result.refused += 1
        elif is_shipped:
            result.missing += 1
            if len(result.missing_ids) < _NAMED:
                result.missing_ids.append(line.event_id)
        else:
            result.waiting += 1
            result.overdue += line.at < self.now - OVERDUE_S


def refresh(client: Elasticsearch) -> None:
    """Make what was taken visible to searches."""
    with plain_words(client):
        client.indices.refresh(index=[stream.pattern for stream in EVENT_STREAMS], ignore_unavailable=True)


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
        except NotFoundError as error:
            if not is_elasticsearch(error):
                raise
            return {}
    return {bucket["key"]: bucket["doc_count"] for bucket in answer.body["aggregations"]["ids"]["buckets"]}


def advice(result: StreamCheck) -> Iterator[str]:
    """What to do about it."""
    if result.missing:
        first = result.missing_ids[0]
        yield f"{result.stream}: {result.missing} are missing (first {first}): `llmops elk backfill` sends them."
    if result.overdue:
        yield (
            f"{result.stream}: {result.overdue} have waited for more than {OVERDUE_S / 60:.0f} minutes: "
            "`llmops ship` sends them; where Filebeat does, look whether it runs (`llmops elk status`)."
        )
    if result.twice:
        yield (
            f"{result.stream}: {result.twice} are there more than once: count them by event.id; "
            "another shipper wrote this stream as well, or one without `_id = event.id`."
        )
