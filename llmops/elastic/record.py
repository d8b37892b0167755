"""The record in Elasticsearch: documents go in once, and the questions of every store are asked of the server."""

from __future__ import annotations

import json
import logging
import random
import threading
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from elasticsearch import Elasticsearch

from llmops.elastic import blaming, tallies
from llmops.elastic.client import plain_words
from llmops.elastic.delivery import Delivery
from llmops.elastic.journal import Line, read_line
from llmops.elastic.queries import (
    ANSWERED,
    AWAITED,
    ELIGIBLE,
    FAILED,
    LIMITED,
    NEVER,
    NOT_SYNTHETIC,
    PROBE,
    SUCCESSFUL,
    Query,
    equals,
    every,
    exists,
    field,
    no,
    query_of,
    slower,
    some,
    span,
)
from llmops.elastic.streams import ALERTS, BENCHMARKS, EVENT_STREAMS, REQUESTS, SAMPLES, Stream
from llmops.events import BenchmarkEvent, Document
from llmops.events.names import name_of
from llmops.store import (
    Blame,
    Blamed,
    Bucket,
    Counts,
    Dimension,
    Ended,
    How,
    Judged,
    Late,
    Measure,
    Over,
    Peak,
    Percentiles,
    Probed,
    RequestRow,
    Usage,
)
from llmops.store.answers import LONGEST_S, percentiles
from llmops.store.columns import MEASURES, columns_of, ended_of, peaks_of, shown
from llmops.store.conditions import FIELDS, Condition
from llmops.untrusted import is_unicode

_PAGE = 1000
_EXACT = 10_000
"""Values that are fetched for exact percentiles; of more the server makes a histogram."""
_ALL = 1 << 40
_NEWEST: Sequence[Mapping[str, Any]] = ({"@timestamp": "desc"}, {"_seq_no": "desc"}, {"event.id": "desc"})
"""Of two of one moment, the one that was taken later is newer."""
_OLDEST: Sequence[Mapping[str, Any]] = ({"@timestamp": "asc"}, {"_seq_no": "asc"}, {"event.id": "asc"})
_log = logging.getLogger(__name__)


class ElasticRecord:
    """Of one namespace. Any thread may ask; what can't be asked raises ElasticProblem. `close` closes the client.

    Documents come as they were written, whatever their namespace; those that the server refuses are not recorded.
    """

    def __init__(self, client: Elasticsearch, namespace: str) -> None:
        self._client = client
        self._namespace = namespace
        self._delivery = Delivery(
            client,
            stop=threading.Event(),
            patience=3,
            longest_wait_s=5.0,
            rng=random.Random(),  # noqa: S311 -- spreads retries, guards nothing
        )

    def record(self, documents: Sequence[Document]) -> int:
        lines = [line for line in map(self._line, documents) if not line.fault]
        done = self._delivery.deliver(lines, unsure=True)
        for line, reason in done.refused:
            _log.error("the server does not take the event %s: %s", line.event_id, reason)
        self._refresh()
        return done.created

    def counts(self, since: float, until: float, *, slow_s: float) -> Counts:
        asked = {"failed": {"filter": FAILED}, "slow": {"filter": slower(slow_s)}}
        total, found = self._count(REQUESTS, every(span(since, until), ELIGIBLE), asked)
        if not total:
            return Counts(total=0, failed=0, slow=0)
        return Counts(total=total, failed=found["failed"]["doc_count"], slow=found["slow"]["doc_count"])

    def first_tokens(self, since: float, until: float, *, late_s: float) -> Judged:
        asked = {"bad": {"filter": some([NEVER, slower(late_s, "ttft")])}}
        total, found = self._count(REQUESTS, every(span(since, until), AWAITED), asked)
        return Judged(total=total, bad=found["bad"]["doc_count"] if total else 0)

    def limited(self, since: float, until: float) -> Judged:
        asked = {"bad": {"filter": slower(0.0, "limit")}}
        total, found = self._count(REQUESTS, every(span(since, until), LIMITED), asked)
        return Judged(total=total, bad=found["bad"]["doc_count"] if total else 0)

    def probes(self, since: float, until: float) -> Judged:
        asked = {"good": {"filter": ANSWERED}}
        total, found = self._count(BENCHMARKS, every(span(since, until), PROBE), asked)
        return Judged(total=total, bad=total - found["good"]["doc_count"] if total else 0)

    def outcomes(self, since: float, until: float, *, synthetic: bool = False) -> dict[str, int]:
        which = [span(since, until)] + ([] if synthetic else [NOT_SYNTHETIC])
        return tallies.outcomes_of(self._count(REQUESTS, every(*which), tallies.outcomes_asked())[1])

    def percentiles(self, measure: Measure, since: float, until: float, *, how: How | None = None) -> Percentiles:
        name = field(MEASURES[measure])
        which = every(span(since, until), SUCCESSFUL, exists(name))
        count, _ = self._count(REQUESTS, which, {})
        if count and (how == "sketch" or count > _EXACT):
            return tallies.sketched(*self._count(REQUESTS, which, tallies.sketch_asked(name, count)))
        return percentiles(hit["fields"][name][0] for hit in self._hits(REQUESTS, which, _OLDEST, _ALL, name))

    def requests(
        self, *, limit: int, before: float | None = None, synthetic: bool = True, where: Condition | None = None
    ) -> list[RequestRow]:
        which = [query_of(where)] + ([] if synthetic else [NOT_SYNTHETIC])
        which += [] if before is None else [span(float("-inf"), before)]
        return self._rows(every(*which), _NEWEST, limit)

    def request(self, request_id: str) -> list[Document]:
        if not request_id or not is_unicode(request_id):
            return []
        by_id, by_event = field("request_id"), "event.id"
        if exact := self._documents(REQUESTS, equals(by_id, request_id), _NEWEST, _ALL):
            return exact
        begins = some([{"prefix": {name: {"value": request_id}}} for name in (by_id, by_event)])
        similar = self._documents(REQUESTS, begins, _NEWEST, 2)
        return similar if len(similar) == 1 else []

    def alive(self, since: float, until: float) -> list[RequestRow]:
        rows = self._rows(span(since, until + LONGEST_S), _OLDEST, _ALL)
        return [row for row in rows if row.started_at < until]

    def worst(
        self,
        since: float,
        until: float,
        *,
        slow_s: float,
        limit: int = 3,
        failures_first: bool = True,
        by: Late = "duration",
    ) -> list[str]:
        eligible = every(span(since, until), ELIGIBLE)
        failed = self._rows(every(eligible, FAILED), _NEWEST, limit) if failures_first else []
        late = every(eligible, slower(slow_s, by))
        slowest = ({field("duration_s" if by == "limit" else MEASURES[by]): "desc"}, *_NEWEST)
        slow = self._rows(every(late, no(FAILED)) if failures_first else late, slowest, limit - len(failed))
        return [row.request_id for row in (*failed, *slow)]

    def series(self, since: float, until: float, step_s: float) -> list[Bucket]:
        asked = tallies.steps_asked(since, until, step_s)
        if not asked["steps"]["date_range"]["ranges"]:
            return []
        _, found = self._count(REQUESTS, every(span(since, until), NOT_SYNTHETIC), asked)
        return tallies.steps_of(found, since, until, step_s)

    def usage(self, since: float, until: float, *, by: Dimension, limit: int = 100) -> list[Usage]:
        names = [field(attribute) for attribute in FIELDS[by].attributes]
        _, found = self._count(REQUESTS, every(span(since, until), NOT_SYNTHETIC), tallies.usage_asked(names))
        return tallies.usage_of(found, limit)

    def oldest(self) -> float | None:
        return next((row.at for row in self._rows(query_of(None), _OLDEST, 1)), None)

    def ended(self, since: float, until: float) -> list[Ended]:
        hits = self._hits(REQUESTS, every(span(since, until), ELIGIBLE), _OLDEST, _ALL)
        rows = [row for row in (columns_of(hit["_source"]) for hit in hits) if row is not None]
        return list(map(ended_of, rows))

    def probed(self, since: float, until: float) -> list[Probed]:
        documents = self._documents(BENCHMARKS, every(span(since, until), PROBE), _OLDEST, _ALL)
        return [Probed(row.at, row.failed == 1) for row in map(columns_of, documents) if row is not None]

    def blame(
        self, since: float, until: float, *, by: Blamed, over: Over | None = None, limit: int = 100
    ) -> list[Blame]:
        which = every(span(since, until), ELIGIBLE, blaming.bad(over))
        return blaming.blamed(*self._count(REQUESTS, which, blaming.asked(by)), by, limit)

    def peaks(self, *, among: int) -> list[Peak]:
        return peaks_of(self._documents(REQUESTS, query_of(None), _NEWEST, among))

    def samples(self, since: float, until: float) -> list[Document]:
        return self._documents(SAMPLES, span(since, until), _OLDEST, _ALL)

    def alerts(self, *, limit: int = 100) -> list[Document]:
        return self._documents(ALERTS, query_of(None), _NEWEST, limit)

    def benchmarks(self, *, limit: int = 20, suite: str | None = "self") -> list[Document]:
        if suite is not None and not is_unicode(suite):
            return []
        which = query_of(None) if suite is None else equals(name_of(BenchmarkEvent, "suite"), suite)
        return self._documents(BENCHMARKS, which, _NEWEST, limit)

    def totals(self) -> dict[str, int]:
        counts = {stream.dataset: self._count(stream, query_of(None), {})[0] for stream in EVENT_STREAMS}
        return {dataset: count for dataset, count in counts.items() if count}

    def close(self) -> None:
        self._client.close()

    def _line(self, document: Document) -> Line:
        """Ours, whatever namespace it was written for."""
        if not isinstance(document, dict):
            return Line(0, b"", fault="no event")
        ours = document | {"data_stream.namespace": self._namespace}
        line = read_line(json.dumps(ours).encode("ascii"), 0, self._namespace)
        raw = json.dumps(document).encode("ascii")
        return Line(0, raw, line.event_id, line.stream, line.dataset, line.at, line.fault)

    def _refresh(self) -> None:
        with plain_words(self._client):
            names = [stream.name(self._namespace) for stream in EVENT_STREAMS]
            self._client.indices.refresh(index=names, ignore_unavailable=True)

    def _count(self, stream: Stream, which: Query, asked: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        """How many, and what else was asked of them; nothing of a stream that no document has made yet."""
        with plain_words(self._client):
            answer = self._client.search(
                index=stream.name(self._namespace),
                query=which,
                aggs=asked or None,
                size=0,
                track_total_hits=True,
                ignore_unavailable=True,
                allow_partial_search_results=False,
            )
        return answer.body["hits"]["total"]["value"], answer.body.get("aggregations", {})

    def _rows(self, which: Query, order: Sequence[Mapping[str, Any]], limit: int) -> list[RequestRow]:
        columns = (columns_of(hit["_source"]) for hit in self._hits(REQUESTS, which, order, limit))
        return [shown(each) for each in columns if each is not None]

    def _documents(
        self, stream: Stream, which: Query, order: Sequence[Mapping[str, Any]], limit: int
    ) -> list[Document]:
        return [hit["_source"] for hit in self._hits(stream, which, order, limit)]

    def _hits(
        self,
        stream: Stream,
        which: Query,
        order: Sequence[Mapping[str, Any]],
        limit: int,
        only: str | None = None,
    ) -> Iterator[dict[str, Any]]:
        """In pages, each after the last one's end; of one field `only`, if it is given."""
        after: list[Any] | None = None
        while limit > 0:
            with plain_words(self._client):
                answer = self._client.search(
                    index=stream.name(self._namespace),
                    query=which,
                    sort=list(order),
                    size=min(limit, _PAGE),
                    search_after=after,
                    source=only is None,
                    docvalue_fields=None if only is None else [{"field": only}],
                    ignore_unavailable=True,
                    allow_partial_search_results=False,
                )
            hits = answer.body["hits"]["hits"]
            yield from hits
            if len(hits) < min(limit, _PAGE):
                return
            limit -= len(hits)
            after = hits[-1]["sort"]
