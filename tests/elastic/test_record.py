"""Elasticsearch gives the answers that the plain reading of the contract gives, exactly where it says so."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from llmops.elastic.record import ElasticRecord
from llmops.events import Document
from llmops.store import MemoryStore, Record
from llmops.store.conditions import Comparison, Every, Not
from tests.elastic.server import ElasticServer
from tests.store.events import request

pytestmark = pytest.mark.elastic

NOW = 1_700_000_000.0
SINCE, UNTIL = NOW + 11.1, NOW + 86.4567


@pytest.fixture(scope="module")
def both(prepared_elastic: ElasticServer) -> Iterator[tuple[Record, Record]]:
    rng = random.Random(7)
    documents = [_any(rng) for _ in range(1500)]
    there, here = ElasticRecord(prepared_elastic.connect(), f"both{rng.getrandbits(40)}{id(rng)}"), MemoryStore()
    assert there.record(documents) == here.record(documents) == 1500
    yield there, here
    there.close()


def _any(rng: random.Random) -> Document:
    outcome: Any = rng.choice(["success", "success", "failure", "unknown"])
    return request(
        NOW + rng.randrange(100_000) / 1000,
        outcome=outcome,
        duration_s=rng.lognormvariate(0, 1),
        error_type=rng.choice(["oom", "timeout", None]) if outcome == "failure" else None,
        user_id=rng.choice(["ann", None]),
        user_hash=rng.choice(["ann", "bob", "日本", None]),
        response_model=rng.choice(["m", None]),
        request_model=rng.choice(["m", "n"]),
        ttft_s=rng.choice([rng.random(), None]),
        input_tokens=rng.choice([rng.randrange(1000), None]),
        output_tokens=rng.choice([rng.randrange(1000), None]),
        slo_eligible=rng.random() < 0.9,
        synthetic=rng.random() < 0.1,
    )


WHERE = Every((Comparison("user", "!=", "ann"), Not(Comparison("latency", "<", 0.7)), Comparison("at", ">", SINCE)))
QUESTIONS: dict[str, Callable[[Record], object]] = {
    "counts": lambda record: record.counts(SINCE, UNTIL, slow_s=1.5),
    "late first tokens": lambda record: record.first_tokens(SINCE, UNTIL, late_s=0.5),
    "outcomes": lambda record: record.outcomes(SINCE, UNTIL),
    "percentiles": lambda record: record.percentiles("duration", SINCE, UNTIL, how="exact"),
    "first tokens": lambda record: record.percentiles("ttft", SINCE, UNTIL, how="exact"),
    "series": lambda record: record.series(SINCE, UNTIL, 3.3337),
    "usage by user": lambda record: record.usage(SINCE, UNTIL, by="user"),
    "usage by model": lambda record: record.usage(SINCE, UNTIL, by="model"),
    "alive": lambda record: {row.event_id for row in record.alive(SINCE, SINCE + 0.5)},
    "worst": lambda record: {*record.worst(SINCE, UNTIL, slow_s=1.5, limit=1000)},
    "worst by first token": lambda record: record.worst(SINCE, UNTIL, slow_s=0.5, by="ttft", failures_first=False),
    "requests": lambda record: {row.event_id: row for row in record.requests(limit=5000, where=WHERE)},
    "a page": lambda record: [row.at for row in record.requests(limit=1200, before=UNTIL)],
    "totals": lambda record: record.totals(),
}


@pytest.mark.parametrize("question", QUESTIONS)
def test_the_server_answers_as_plain_python_does(both: tuple[Record, Record], question: str) -> None:
    there, here = both
    assert QUESTIONS[question](there) == QUESTIONS[question](here)


def test_sketched_percentiles_are_within_a_tenth_of_a_percent(both: tuple[Record, Record]) -> None:
    there, here = both
    sketch = there.percentiles("duration", SINCE, UNTIL, how="sketch")
    exact = here.percentiles("duration", SINCE, UNTIL, how="exact")
    assert (sketch.how, sketch.count) == ("sketch", exact.count)
    assert (sketch.p50, sketch.p95, sketch.p99) == pytest.approx((exact.p50, exact.p95, exact.p99), rel=0.001)


def test_few_values_are_sketched_too(prepared_elastic: ElasticServer, namespace: str) -> None:
    record = ElasticRecord(prepared_elastic.connect(), namespace)
    for number in (1.0, 2.0):
        record.record([request(NOW, duration_s=number)])
        found = record.percentiles("duration", NOW, NOW + 1, how="sketch")
        assert (found.p50, found.p99) == pytest.approx((1.0, number), rel=0.001)
    record.close()
