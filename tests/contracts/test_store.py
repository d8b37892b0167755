"""What every store promises beside the record: places kept, states, ages, and the same answers everywhere."""

from __future__ import annotations

import json
import math
import threading
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmops.store import Checkpoint, MemoryStore, SqliteStore, Store
from llmops.store.conditions import Comparison
from tests.store.events import alert, benchmark, request, sample

NOW = 1_700_000_000.0


def test_documents_and_checkpoints_are_kept_together(store: Store) -> None:
    assert store.checkpoint("never-seen") == 0
    store.record([request(NOW)], [Checkpoint("f1", 100), Checkpoint("f2", 5)])
    store.record([], [Checkpoint("f1", 250)])
    assert (store.checkpoint("f1"), store.checkpoint("f2")) == (250, 5)


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


def test_of_two_alerts_of_one_moment_the_one_recorded_later_is_newer(store: Store) -> None:
    store.record([alert(NOW, action="pending"), alert(NOW, action="firing")])
    assert [found["event.action"] for found in store.alerts()] == ["firing", "pending"]


def test_a_store_that_keeps_what_it_has_stays_of_one_generation(store: Store) -> None:
    before = store.generation()
    store.record([request(NOW)])
    store.save_state("alerts", {})
    store.prune({"requests": NOW + 7200})
    assert store.generation() == before


def test_states_are_kept_as_json(store: Store) -> None:
    assert store.load_state("alerts") is None
    store.save_state("alerts", {"a": [1, 2.5, None, "é\ud800"]})
    store.save_state("alerts", {"b": 1})
    store.save_state("other", [])
    assert store.load_state("alerts") == {"b": 1}
    assert store.load_state("other") == []


@settings(deadline=None)
@given(
    st.lists(
        st.tuples(
            st.floats(0, 100),
            st.sampled_from(["success", "failure", "unknown"]),
            st.floats(0, 10),
            st.none() | st.floats(0, 10),
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
        request(
            NOW + at, outcome=outcome, duration_s=duration_s, ttft_s=ttft_s, slo_eligible=eligible, synthetic=synthetic
        )
        for at, outcome, duration_s, ttft_s, eligible, synthetic in rows
    ]
    disk, memory = SqliteStore(tmp_path_factory.mktemp("both") / "s"), MemoryStore()
    since, until = NOW + since, NOW + until
    assert disk.record(documents) == memory.record(documents)

    def answers(store: Store) -> str:
        return json.dumps(
            [
                repr(store.counts(since, until, slow_s=3.0)),
                repr(store.first_tokens(since, until, late_s=3.0)),
                sorted(store.outcomes(since, until).items()),
                repr(store.percentiles("duration", since, until)),
                repr(store.requests(limit=10, before=until, where=Comparison("latency", ">", 2.0))),
                repr(store.usage(since, until, by="user")),
                repr(store.alive(since, until)),
                store.worst(since, until, slow_s=3.0, limit=5),
                store.worst(since, until, slow_s=3.0, limit=5, by="ttft"),
                repr(store.series(since, until, 7.0)),
            ]
        )

    assert answers(disk) == answers(memory)
    disk.close()


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


HOUR = 472_222 * 3600.0


def test_what_is_old_goes_a_few_rows_at_a_time_each_kind_at_its_own_age_in_whole_hours(store: Store) -> None:
    store.record([request(HOUR + 3600 * n, request_id=f"q{n}") for n in range(5)])
    store.record([sample(HOUR), sample(HOUR + 9000), alert(HOUR), benchmark(HOUR + 9000)])
    assert store.prune({"requests": HOUR + 3 * 3600 + 7}, limit=2) == 2
    assert [row.request_id for row in store.requests(limit=9)] == ["q4", "q3", "q2"]
    assert store.prune({"requests": HOUR + 3 * 3600, "samples": HOUR + 3600}, limit=9) == 2
    assert store.prune({"requests": HOUR, "samples": HOUR + 3600}, limit=9) == 0
    assert store.totals() == {"llmops.request": 2, "llmops.gpu": 1, "llmops.alert": 1, "llmops.benchmark": 1}
    assert store.prune({"alerts": HOUR + 3600}) == 1
    assert len(store.benchmarks()) == 1


def test_an_event_older_than_what_was_pruned_is_not_taken_again(store: Store) -> None:
    old, young = request(HOUR), request(HOUR + 7200)
    store.record([old, young])
    store.prune({"requests": HOUR + 3600})
    assert store.record([old, request(HOUR + 1), young, sample(HOUR)]) == 1
    assert store.totals() == {"llmops.request": 1, "llmops.gpu": 1}


def test_what_is_left_out_because_it_is_older_is_told_once_and_again_at_ten_times_as_many(
    store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    store.record([request(HOUR)])
    store.prune({"requests": HOUR + 3600, "samples": HOUR})
    for each in range(3):
        store.record([request(HOUR + each), request(HOUR + each), request(HOUR + 3600)])
    assert [record.getMessage() for record in caplog.records] == [
        "2 events were not recorded: they are older than what was deleted (requests before 2023-11-14T23:00Z, samples "
        "before 2023-11-14T22:00Z), and may have been counted before. To count them all the same, stop watch, delete "
        "the store, and watch makes it again from the journal."
    ]
    store.record([request(HOUR) for _ in range(20)])
    assert [record.getMessage().split()[0] for record in caplog.records] == ["2", "26"]
