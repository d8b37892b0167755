"""Sums of minutes and hours tell what the rows would tell: late, twice, pruned or counted with another threshold."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmops.store import MemoryStore, SqliteStore, open_store
from llmops.store.conditions import Comparison
from llmops.store.covering import Horizon, Piece, cover
from tests.store.events import request

HOUR = 472_222 * 3600.0
moments = st.floats(-3 * 3600, 3 * 3600).map(lambda offset: round(HOUR + offset, 3))
spans = st.tuples(moments, moments).map(sorted)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqliteStore]:
    made = open_store(tmp_path / "s", slow_s=3.0, late_s=2.0)
    yield made
    made.close()


@given(spans, st.sampled_from([0, 60, 3600]), st.integers(-3, 3))
def test_the_pieces_of_a_span_are_the_span(span: list[float], largest_s: int, minutes: int) -> None:
    since, until = span
    pieces = cover(since, until, Horizon(minutes=HOUR + 3600 * minutes), largest_s=largest_s)
    edges = [edge for piece in pieces for edge in piece[1:]]
    assert edges == sorted(edges)
    assert edges[1:-1:2] == edges[2::2]
    assert (edges[0], edges[-1]) == (since, until) if since < until else not edges
    for step_s, begin, end in pieces:
        assert step_s <= largest_s
        assert step_s == 0 or (begin % step_s == 0 and end % step_s == 0)
        assert step_s != 60 or begin >= HOUR + 3600 * minutes


@given(spans, st.sampled_from([60, 3600]), st.integers(-3, 3))
def test_where_rows_are_gone_whole_hours_are_asked(span: list[float], largest_s: int, hours: int) -> None:
    rows = HOUR + 3600 * hours
    pieces = cover(span[0], span[1], Horizon(rows=rows), largest_s=largest_s)
    assert all(piece.step_s for piece in pieces if piece.since < rows)
    assert not pieces or pieces[0].since in (span[0], span[0] // 3600 * 3600)
    assert sum(piece.until - piece.since for piece in pieces) >= span[1] - span[0] - 1e-6


def test_a_span_of_ever_is_covered() -> None:
    assert [piece.step_s for piece in cover(-math.inf, math.inf, Horizon())] == [0, 60, 3600, 60, 0]
    assert cover(5.0, 5.0, Horizon()) == []
    assert cover(0.0, 7200.0, Horizon()) == [Piece(3600, 0, 7200)]


def everything(store: Any, since: float, until: float) -> list[Any]:
    return [
        store.counts(since, until, slow_s=3.0),
        store.first_tokens(since, until, late_s=2.0),
        store.first_tokens(since, until, late_s=1.0),
        sorted(store.outcomes(since, until).items()),
        sorted(store.outcomes(since, until, synthetic=True).items()),
        store.usage(since, until, by="user"),
        store.usage(since, until, by="version"),
        store.series(math.floor(since / 3600) * 3600.0, until, 3600.0),
        store.series(math.floor(since / 60) * 60.0, until, 120.0),
        store.series(since, until, 77.7),
        [store.percentiles(measure, since, until, how="exact") for measure in ("duration", "ttft", "tpot", "queue")],
    ]


requests = st.builds(
    request,
    moments,
    duration_s=st.floats(0, 9).map(lambda seconds: round(seconds, 3)),
    outcome=st.sampled_from(["success", "failure", "unknown"]),
    error_type=st.sampled_from([None, "oom"]),
    user_hash=st.sampled_from([None, "ann", "bob", ""]),
    model_version=st.sampled_from([None, "v1"]),
    slo_eligible=st.booleans(),
    synthetic=st.booleans(),
    ttft_s=st.sampled_from([None, 0.5, 1.5, 2.5]),
    output_tokens=st.sampled_from([None, 7]),
)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.lists(requests, max_size=12), max_size=4), spans, st.randoms())
def test_events_that_come_late_or_twice_are_counted_once(
    tmp_path_factory: pytest.TempPathFactory, batches: list[list[Any]], span: list[float], chance: Any
) -> None:
    disk, memory = open_store(tmp_path_factory.mktemp("rolled") / "s", slow_s=3.0), MemoryStore()
    seen: list[Any] = []
    for batch in batches:
        mixed = batch + chance.choices(seen + batch, k=5) if batch else []
        chance.shuffle(mixed)
        assert disk.record(mixed) == memory.record(mixed)
        seen += batch
    assert everything(disk, *span) == everything(memory, *span)
    sketched = disk.percentiles("duration", *span, how="sketch")
    exact = memory.percentiles("duration", *span)
    assert sketched.count == exact.count
    assert (sketched.p99 or 0.0) == pytest.approx(exact.p99 or 0.0, rel=0.01)
    disk.close()


def steady(count: int, *, every_s: float, **fields: Any) -> list[Any]:
    return [request(HOUR + every_s * n, duration_s=(n % 50) / 10, output_tokens=1, **fields) for n in range(count)]


def test_what_was_pruned_is_still_counted_in_whole_hours(store: SqliteStore) -> None:
    documents = steady(500, every_s=60, user_hash="ann", ttft_s=0.2)
    memory = MemoryStore()
    memory.record(documents)
    store.record(documents)
    store.prune({"requests": HOUR + 5 * 3600})
    since, until = HOUR + 1800, HOUR + 7 * 3600 + 90
    told = (HOUR, until)
    assert store.counts(since, until, slow_s=3.0) == memory.counts(*told, slow_s=3.0)
    assert store.first_tokens(since, until, late_s=2.0) == memory.first_tokens(*told, late_s=2.0)
    assert store.outcomes(since, until) == memory.outcomes(*told)
    assert store.usage(since, until, by="user") == memory.usage(*told, by="user")
    assert store.series(HOUR, until, 300.0) == memory.series(HOUR, until, 300.0)
    assert sum(step.requests for step in store.series(since, until, 300.0)) == memory.counts(*told, slow_s=3).total
    found = store.percentiles("duration", since, until, how="exact")
    assert (found.how, found.count) == ("sketch", memory.percentiles("duration", *told).count)
    assert store.record(documents) == 0
    assert store.counts(since, until, slow_s=3.0) == memory.counts(*told, slow_s=3.0)


def test_minutes_and_hours_have_an_age_of_their_own(store: SqliteStore) -> None:
    store.record(steady(500, every_s=60, user_hash="ann"))
    store.prune({"requests": HOUR + 5 * 3600, "minutes": HOUR + 4 * 3600})
    assert sum(step.requests for step in store.series(HOUR, HOUR + 36_000, 60.0)) == 500
    assert store.counts(HOUR, HOUR + 36_000, slow_s=3.0).total == 500
    while store.prune({"hours": HOUR + 2 * 3600}, limit=7):
        pass
    assert store.counts(HOUR, HOUR + 36_000, slow_s=3.0).total == 500 - 120
    assert store.usage(HOUR, HOUR + 36_000, by="user")[0].requests == 500 - 120
    assert sum(step.requests for step in store.series(HOUR, HOUR + 36_000, 60.0)) == 500 - 120


def test_another_threshold_is_counted_from_rows_and_where_they_are_gone_from_histograms(store: SqliteStore) -> None:
    store.record(steady(500, every_s=60))
    span = (HOUR, HOUR + 36_000)
    assert store.counts(*span, slow_s=3.0).slow == 190
    assert store.counts(*span, slow_s=2.0).slow == 290
    assert store.counts(*span, slow_s=2.0).is_exact
    store.prune({"requests": HOUR + 5 * 3600})
    assert (store.counts(*span, slow_s=3.0).slow, store.counts(*span, slow_s=3.0).is_exact) == (190, True)
    near = store.counts(*span, slow_s=1.95)
    assert (near.slow, near.is_exact) == (300, False)


def test_first_tokens_are_told_from_histograms_where_rows_are_gone(store: SqliteStore) -> None:
    documents = [
        request(
            HOUR + 60 * n, ttft_s=None if n % 4 == 0 else (n % 50) / 10, outcome="failure" if n % 8 == 0 else "success"
        )
        for n in range(500)
    ]
    memory = MemoryStore()
    memory.record(documents)
    store.record(documents)
    span = (HOUR, HOUR + 36_000)
    assert store.first_tokens(*span, late_s=1.95) == memory.first_tokens(*span, late_s=1.95)
    store.prune({"requests": HOUR + 5 * 3600})
    assert store.first_tokens(*span, late_s=2.0) == memory.first_tokens(*span, late_s=2.0)
    near, exact = (each.first_tokens(*span, late_s=1.95) for each in (store, memory))
    assert (near.total, near.bad, near.is_exact) == (exact.total, exact.bad, False)


def test_of_many_requests_another_threshold_is_told_from_histograms(
    store: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.record(steady(500, every_s=60))
    monkeypatch.setattr("llmops.store.answering.EXACT_VALUES", 50)
    near = store.counts(HOUR, HOUR + 36_000, slow_s=1.95)
    assert (near.slow, near.is_exact) == (300, False)
    assert store.counts(HOUR, HOUR + 36_000, slow_s=3.0).is_exact


def test_a_new_threshold_of_first_tokens_is_counted_for_every_hour_that_has_its_rows(tmp_path: Path) -> None:
    documents = [request(HOUR + 60 * n, ttft_s=(n % 50) / 10) for n in range(500)]
    first = open_store(tmp_path / "s", late_s=2.0)
    first.record(documents)
    first.prune({"requests": HOUR + 3600})
    first.close()
    again = open_store(tmp_path / "s", late_s=1.0)
    held = again._ask("SELECT DISTINCT late_s, start >= ? FROM rollup", (HOUR + 3600,))  # type: ignore[arg-type]
    assert sorted(held) == [(1.0, 1), (2.0, 0)]
    assert again.first_tokens(HOUR + 3600, HOUR + 36_000, late_s=1.0).is_exact
    again.close()


def test_a_new_threshold_is_counted_for_every_hour_that_has_its_rows(tmp_path: Path) -> None:
    first = open_store(tmp_path / "s", slow_s=3.0)
    first.record(steady(500, every_s=60))
    first.prune({"requests": HOUR + 3600})
    first.close()
    again = open_store(tmp_path / "s", slow_s=1.95)
    again.record([*steady(5, every_s=1), request(HOUR + 7300, duration_s=2.5), request(HOUR + 7300, duration_s=1.0)])
    held = again._ask("SELECT DISTINCT slow_s, start >= ? FROM rollup", (HOUR + 3600,))  # type: ignore[arg-type]
    assert sorted(held) == [(1.95, 1), (3.0, 0)]
    assert again.counts(HOUR + 3600, HOUR + 36_000, slow_s=1.95).is_exact
    assert again.counts(HOUR, HOUR + 36_000, slow_s=1.95).slow == 301
    again.close()


def test_short_windows_are_exact_and_long_ones_are_sketched(
    store: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.record(steady(500, every_s=60))
    assert store.percentiles("duration", HOUR, HOUR + 36_000).how == "exact"
    monkeypatch.setattr("llmops.store.answering.EXACT_VALUES", 400)
    found = store.percentiles("duration", HOUR, HOUR + 36_000)
    assert (found.how, found.count) == ("sketch", 500)
    assert store.percentiles("duration", HOUR, HOUR + 3600).how == "exact"


def test_a_month_of_requests_is_told_from_sums_as_from_rows(store: SqliteStore) -> None:
    chance = random.Random(7)
    month = [
        request(HOUR + chance.uniform(0, 30 * 86400), duration_s=chance.lognormvariate(0.0, 0.8)) for _ in range(4000)
    ]
    store.record(month)
    span = (HOUR + 77.7, HOUR + 30 * 86400 - 99.9)
    exact, near = (store.percentiles("duration", *span, how=how) for how in ("exact", "sketch"))
    assert (exact.how, near.how, near.count) == ("exact", "sketch", exact.count)
    assert (near.p50, near.p95, near.p99) == pytest.approx((exact.p50, exact.p95, exact.p99), rel=0.01)
    rows = store.requests(limit=5000, before=span[1], where=Comparison("at", ">=", span[0]))
    assert store.counts(*span, slow_s=3.0).slow == sum(row.duration_s > 3.0 for row in rows)
