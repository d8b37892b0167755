"""The record in Elasticsearch: documents go in once, and the questions of every store are asked of the server."""

from __future__ import annotations

import logging
import random
import threading
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from elasticsearch import Elasticsearch

from llmops.elastic import queries
from llmops.elastic.client import plain_words
from llmops.elastic.delivery import Delivery
from llmops.elastic.journal import Line, read_line
from llmops.elastic.queries import ELIGIBLE, FAILED, NOT_SYNTHETIC, SUCCESSFUL, Query, every, exists, field, span
from llmops.elastic.streams import ALERTS, BENCHMARKS, EVENT_STREAMS, REQUESTS, SAMPLES, Stream, stream_of
from llmops.elastic.tallies import PER_KEY, MOST_KEYS, buckets_of, outcomes_of, ranges_of, sketched, usage_of
from llmops.events import Document
from llmops.store import Bucket, Counts, Dimension, How, Measure, Percentiles, RequestRow, Usage
from llmops.store.answers import LONGEST_S, percentiles
from llmops.store.columns import MEASURES
from llmops.store.conditions import FIELDS, Condition

_PAGE = 1000
_EXACT = 10_000
"""Values that are fetched for exact percentiles; of more the server makes a histogram."""
_NEWEST: list[Mapping[str, Any]] = [{"@timestamp": "desc"}, {"_seq_no": "desc"}, {"event.id": "desc"}]
_OLDEST: list[Mapping[str, Any]] = [{"@timestamp": "asc"}, {"_seq_no": "asc"}, {"event.id": "asc"}]
_log = logging.getLogger(__name__)


class ElasticRecord:
    """Of one namespace. Any thread may ask; what can't be asked raises ElasticProblem. `close` closes the client."""

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
