"""What every store promises, on disk and in memory."""

from __future__ import annotations

import json
import math
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmops.events import RequestEvent
from llmops.store import Checkpoint, Counts, MemoryStore, SqliteStore, Store, open_store
from tests.store.events import alert, benchmark, document, request, sample

NOW = 1_700_000_000.0


@pytest.fixture(params=["sqlite", "memory"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    made: Store = open_store(tmp_path / "llmops.sqlite") if request.param == "sqlite" else MemoryStore()
    yield made
    made.close()


def test_an_event_is_recorded_once_however_often_it_comes(store: Store) -> None:
    first, second = request(NOW), request(NOW)
    assert store.record([first, second, first]) == 2
    assert store.record([first]) == 0
    assert store.totals() == {"llmops.request": 2}


def test_documents_and_checkpoints_are_kept_together(store: Store) -> None:
    assert store.checkpoint("never-seen") == 0
    store.record([request(NOW)], [Checkpoint("f1", 100), Checkpoint("f2", 5)])
    store.record([], [Checkpoint("f1", 250)])
    assert (store.checkpoint("f1"), store.checkpoint("f2")) == (250, 5)


def test_a_span_includes_its_beginning_and_not_its_end(store: Store) -> None:
    store.record([request(NOW), request(NOW + 10)])
    assert store.counts(NOW, NOW + 10, slow_s=3.0).total == 1
    assert store.counts(NOW, NOW + 10.001, slow_s=3.0).total == 2


def test_only_eligible_requests_are_counted_and_slow_means_over_the_threshold(store: Store) -> None:
    store.record(
        [
            request(NOW, duration_s=3.0),
            request(NOW, duration_s=3.001),
            request(NOW, outcome="failure", error_type="oom", duration_s=9.0),
            request(NOW, outcome="failure", error_type="rate_limited", slo_eligible=False),
            request(NOW, duration_s=60.0, synthetic=True, slo_eligible=True),
        ]
    )
    assert store.counts(NOW, NOW + 1, slow_s=3.0) == Counts(total=3, failed=1, slow=2)


def test_without_traffic_everything_is_zero_or_absent(store: Store) -> None:
    assert store.counts(NOW, NOW + 1, slow_s=3.0) == Counts(total=0, failed=0, slow=0)
    assert store.durations(NOW, NOW + 1).p99 is None
    assert store.outcomes(NOW, NOW + 1) == {}
    assert store.totals() == {}
    assert store.worst(NOW, NOW + 1, slow_s=0.0) == []


def test_outcomes_go_by_the_slug_of_the_error(store: Store) -> None:
    store.record(
        [
            request(NOW),
            request(NOW, outcome="unknown"),
            request(NOW, outcome="failure", error_type="queue_full"),
            request(NOW, outcome="failure"),
            request(NOW, synthetic=True),
        ]
    )
    assert store.outcomes(NOW, NOW + 1) == {"success": 1, "unknown": 1, "queue_full": 1, "_OTHER": 1}
    assert store.outcomes(NOW, NOW + 1, synthetic=True)["success"] == 2


def test_percentiles_are_exact_nearest_ranks_of_successful_requests(store: Store) -> None:
    store.record([request(NOW, duration_s=float(n), ttft_s=n / 10) for n in range(1, 101)])
    store.record([request(NOW, duration_s=999.0, outcome="failure"), request(NOW, duration_s=999.0, synthetic=True)])
    found = store.durations(NOW, NOW + 1)
    assert (found.count, found.p50, found.p95, found.p99) == (100, 50.0, 95.0, 99.0)
    assert store.first_token_times(NOW, NOW + 1).p50 == 5.0


def test_the_latest_requests_come_newest_first_and_in_pages(store: Store) -> None:
    store.record([request(NOW + n, request_id=f"q{n}", synthetic=n == 2) for n in range(4)])
    assert [row.request_id for row in store.requests(limit=2)] == ["q3", "q2"]
    assert [row.request_id for row in store.requests(limit=9, before=NOW + 2)] == ["q1", "q0"]
    assert [row.request_id for row in store.requests(limit=9, synthetic=False)] == ["q3", "q1", "q0"]
    assert store.requests(limit=-1) == []


def test_a_row_shows_the_request_as_it_was_written(store: Store) -> None:
    store.record(
        [
            request(
                NOW,
                duration_s=1.5,
                request_id="q",
                user_hash="u",
                response_model="m",
                finish_reasons=("stop",),
                ttft_s=0.2,
                tpot_s=0.01,
                queue_s=0.1,
                input_tokens=7,
                output_tokens=9,
            )
        ]
    )
    row = store.requests(limit=1)[0]
    assert (row.at, row.user, row.model, row.finish_reason) == (NOW, "u", "m", "stop")
    assert (row.duration_s, row.ttft_s, row.tpot_s, row.queue_s) == (1.5, 0.2, 0.01, 0.1)
    assert (row.input_tokens, row.output_tokens, row.status_code) == (7, 9, 200)
    assert (row.eligible, row.synthetic) == (True, False)


def test_a_request_is_found_by_its_id_or_by_a_unique_prefix_of_its_event(store: Store) -> None:
    one, two = request(NOW, request_id="same"), request(NOW + 1, request_id="same")
    other = request(NOW + 60, request_id="other")
    store.record([one, two, other])
    assert [found["event.id"] for found in store.request("same")] == [two["event.id"], one["event.id"]]
    assert store.request(other["event.id"][:16]) == [other]
    assert store.request(other["event.id"][:2]) == []
    assert store.request("") == []
    assert store.request("\ud800") == []


@pytest.mark.parametrize("text", ["' OR 1=1 --", "%", "_", "\x00", '"; DROP TABLE event; --', "\x1b[2J", "名前"])
def test_hostile_text_is_only_text(store: Store, text: str) -> None:
    store.record([request(NOW, request_id=text, error_type=text, outcome="failure")])
    assert len(store.request(text)) == 1
    assert store.outcomes(NOW, NOW + 1) == {text: 1}
    assert store.request("' OR ''='") == []
    assert store.totals() == {"llmops.request": 1}


def test_values_of_the_wrong_type_count_as_absent_and_stay_in_the_document(store: Store) -> None:
    odd = request(NOW, request_id="q") | {
        "http.response.status_code": {"a": 1},
        "gen_ai.server.request.duration": "long",
        "gen_ai.usage.output_tokens": 1 << 70,
        "gen_ai.usage.input_tokens": math.inf,
        "gen_ai.server.time_to_first_token": 10**400,
        "llmops.queue.time": True,
        "gen_ai.response.finish_reasons": ["\ud800"],
        "gen_ai.request.model": ["m"],
    }
    assert store.record([odd]) == 1
    row = store.requests(limit=1)[0]
    assert (row.status_code, row.duration_s, row.output_tokens, row.input_tokens) == (0, 0.0, None, None)
    assert (row.ttft_s, row.queue_s, row.finish_reason, row.model) == (None, None, "?", None)
    assert store.request("q")[0]["http.response.status_code"] == {"a": 1}


@pytest.mark.parametrize(
    "other",
    [{}, {"event.id": "x"}, {"@timestamp": "2026-01-01T00:00:00Z"}, {"event.id": 7, "@timestamp": 1}, []],
)
def test_what_is_no_event_is_not_recorded(store: Store, other: Any) -> None:
    assert store.record([other, {"event.id": "y", "@timestamp": "yesterday"}, request(NOW)]) == 1


def test_exemplars_are_the_newest_failures_and_then_the_slowest(store: Store) -> None:
    store.record(
        [
            request(NOW, request_id="old", outcome="failure"),
            request(NOW + 1, request_id="new", outcome="failure", duration_s=7.0),
            request(NOW, request_id="slow", duration_s=5.0),
            request(NOW, request_id="slower", duration_s=6.0),
            request(NOW, request_id="fast"),
            request(NOW, request_id="refused", outcome="failure", slo_eligible=False),
        ]
    )
    assert store.worst(NOW, NOW + 9, slow_s=3.0, limit=9) == ["new", "old", "slower", "slow"]
    assert store.worst(NOW, NOW + 9, slow_s=3.0, limit=3) == ["new", "old", "slower"]
    assert store.worst(NOW, NOW + 9, slow_s=3.0, limit=2, failures_first=False) == ["new", "slower"]
    assert store.worst(NOW, NOW + 9, slow_s=math.inf) == ["new", "old"]


def test_a_series_has_no_holes(store: Store) -> None:
    store.record(
        [
            request(NOW + 1, duration_s=2.0, output_tokens=5),
            request(NOW + 2, outcome="failure", duration_s=1.0, output_tokens=1),
            request(NOW + 11),
            request(NOW + 3, synthetic=True),
        ]
    )
    series = store.series(NOW, NOW + 15, 5.0)
    assert [bucket.start for bucket in series] == [NOW, NOW + 5, NOW + 10]
    assert [bucket.requests for bucket in series] == [2, 0, 1]
    assert (series[0].failed, series[0].output_tokens, series[0].max_duration_s) == (1, 6, 2.0)
    assert series[1].max_duration_s is None
    assert store.series(NOW, NOW, 5.0) == []
    with pytest.raises(ValueError, match="step"):
        store.series(NOW, NOW + 1, 0.0)


def test_samples_come_oldest_first_alerts_and_benchmarks_newest_first(store: Store) -> None:
    store.record([sample(NOW + 1), sample(NOW), alert(NOW), alert(NOW), benchmark(NOW, "b1"), benchmark(NOW + 1, "b2")])
    assert [found["@timestamp"][-4:-1] for found in store.samples(NOW, NOW + 2)] == ["000", "000"]
    assert store.samples(NOW, NOW + 1)[0]["@timestamp"] < store.samples(NOW + 1, NOW + 2)[0]["@timestamp"]
    assert [found["llmops.benchmark.id"] for found in store.benchmarks()] == ["b2", "b1"]
    assert len(store.alerts(limit=1)) == 1
    assert store.totals() == {"llmops.gpu": 2, "llmops.alert": 2, "llmops.benchmark": 2}


def test_of_two_alerts_of_one_moment_the_one_recorded_later_is_newer(store: Store) -> None:
    store.record([alert(NOW, action="pending"), alert(NOW, action="firing")])
    assert [found["event.action"] for found in store.alerts()] == ["firing", "pending"]


def test_states_are_kept_as_json(store: Store) -> None:
    assert store.load_state("alerts") is None
    store.save_state("alerts", {"a": [1, 2.5, None, "é\ud800"]})
    store.save_state("alerts", {"b": 1})
    store.save_state("other", [])
    assert store.load_state("alerts") == {"b": 1}
    assert store.load_state("other") == []


def test_many_threads_may_ask_while_one_records(store: Store) -> None:
    failures: list[BaseException] = []

    def ask() -> None:
        try:
            for _ in range(50):
                store.counts(0.0, NOW * 2, slow_s=1.0)
                store.requests(limit=5)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for n in range(50):
        store.record([request(NOW + n)])
    for thread in threads:
        thread.join()
    assert failures == []
    assert store.totals() == {"llmops.request": 50}


@given(
    st.lists(
        st.tuples(
            st.floats(0, 100),
            st.sampled_from(["success", "failure", "unknown"]),
            st.floats(0, 10),
            st.booleans(),
            st.booleans(),
        ),
        max_size=30,
    ),
    st.floats(0, 100),
    st.floats(0, 100),
)
def test_both_stores_give_the_same_answers(
    tmp_path_factory: pytest.TempPathFactory, rows: list[Any], since: float, until: float
) -> None:
    documents = [
        request(NOW + at, outcome=outcome, duration_s=duration_s, slo_eligible=eligible, synthetic=synthetic)
        for at, outcome, duration_s, eligible, synthetic in rows
    ]
    disk, memory = SqliteStore(tmp_path_factory.mktemp("both") / "s"), MemoryStore()
    since, until = NOW + since, NOW + until
    assert disk.record(documents) == memory.record(documents)

    def answers(store: Store) -> str:
        return json.dumps(
            [
                repr(store.counts(since, until, slow_s=3.0)),
                sorted(store.outcomes(since, until).items()),
                repr(store.durations(since, until)),
                repr(store.requests(limit=10, before=until)),
                store.worst(since, until, slow_s=3.0, limit=5),
                repr(store.series(since, until, 7.0)),
            ]
        )

    assert answers(disk) == answers(memory)
    disk.close()


def test_a_document_comes_back_as_it_went_in(store: Store) -> None:
    written = document(RequestEvent(at=NOW, request_id="text", error_message="line\nbreak \x1b[31m ünï 🚀 ' \" \\"))
    store.record([written])
    assert store.request("text") == [written]
