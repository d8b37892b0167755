"""What every record promises: on disk, in memory, in Elasticsearch."""

from __future__ import annotations

import math
from typing import Any

import pytest

from llmops.events import RequestEvent
from llmops.events.names import name_of
from llmops.store import Counts, How, Judged, Record, Usage
from llmops.store.conditions import Comparison, Condition, Every, Not, Some
from tests.store.events import alert, benchmark, document, request, sample

NOW = 1_700_000_000.0


def test_an_event_is_recorded_once_however_often_it_comes(record: Record) -> None:
    first, second = request(NOW), request(NOW)
    assert record.record([first, second, first]) == 2
    assert record.record([first]) == 0
    assert record.totals() == {"llmops.request": 2}


def test_a_span_includes_its_beginning_and_not_its_end(record: Record) -> None:
    record.record([request(NOW), request(NOW + 10)])
    assert record.counts(NOW, NOW + 10, slow_s=3.0).total == 1
    assert record.counts(NOW, NOW + 10.001, slow_s=3.0).total == 2


def test_only_eligible_requests_are_counted_and_slow_means_over_the_threshold(record: Record) -> None:
    record.record(
        [
            request(NOW, duration_s=3.0),
            request(NOW, duration_s=3.001),
            request(NOW, outcome="failure", error_type="oom", duration_s=9.0),
            request(NOW, outcome="failure", error_type="rate_limited", slo_eligible=False),
            request(NOW, duration_s=60.0, synthetic=True, slo_eligible=True),
        ]
    )
    assert record.counts(NOW, NOW + 1, slow_s=3.0) == Counts(total=3, failed=1, slow=2)


def test_without_traffic_everything_is_zero_or_absent(record: Record) -> None:
    assert record.counts(NOW, NOW + 1, slow_s=3.0) == Counts(total=0, failed=0, slow=0)
    assert record.percentiles("duration", NOW, NOW + 1).p99 is None
    assert record.usage(NOW, NOW + 1, by="user") == []
    assert record.alive(NOW, NOW + 1) == []
    assert record.outcomes(NOW, NOW + 1) == {}
    assert record.totals() == {}
    assert record.worst(NOW, NOW + 1, slow_s=0.0) == []
    assert record.first_tokens(NOW, NOW + 1, late_s=0.0) == Judged(total=0, bad=0)
    assert record.probes(NOW, NOW + 1) == Judged(total=0, bad=0)


def test_outcomes_go_by_the_slug_of_the_error(record: Record) -> None:
    record.record(
        [
            request(NOW),
            request(NOW, outcome="unknown"),
            request(NOW, outcome="failure", error_type="queue_full"),
            request(NOW, outcome="failure"),
            request(NOW, synthetic=True),
        ]
    )
    assert record.outcomes(NOW, NOW + 1) == {"success": 1, "unknown": 1, "queue_full": 1, "_OTHER": 1}
    assert record.outcomes(NOW, NOW + 1, synthetic=True)["success"] == 2


@pytest.mark.parametrize("how", ["exact", "sketch", None])
def test_percentiles_are_nearest_ranks_of_successful_requests_and_tell_how_near(
    record: Record, how: How | None
) -> None:
    record.record([request(NOW, duration_s=float(n), ttft_s=n / 10) for n in range(1, 101)])
    record.record([request(NOW, duration_s=999.0, outcome="failure"), request(NOW, duration_s=999.0, synthetic=True)])
    found = record.percentiles("duration", NOW, NOW + 1, how=how)
    near = 0.0 if found.how == "exact" else 0.01
    assert found.count == 100
    assert (found.p50, found.p95, found.p99) == pytest.approx((50.0, 95.0, 99.0), rel=near)
    assert record.percentiles("ttft", NOW, NOW + 1, how=how).p50 == pytest.approx(5.0, rel=near)
    assert record.percentiles("tpot", NOW, NOW + 1, how=how).count == 0


def test_the_latest_requests_come_newest_first_and_in_pages(record: Record) -> None:
    record.record([request(NOW + n, request_id=f"q{n}", synthetic=n == 2) for n in range(4)])
    assert [row.request_id for row in record.requests(limit=2)] == ["q3", "q2"]
    assert [row.request_id for row in record.requests(limit=9, before=NOW + 2)] == ["q1", "q0"]
    assert [row.request_id for row in record.requests(limit=9, synthetic=False)] == ["q3", "q1", "q0"]
    assert record.requests(limit=-1) == []


def test_a_row_shows_the_request_as_it_was_written(record: Record) -> None:
    record.record(
        [
            request(
                NOW,
                duration_s=1.5,
                request_id="q",
                user_hash="u",
                response_model="m",
                model_version="v",
                finish_reasons=("stop",),
                ttft_s=0.2,
                tpot_s=0.01,
                queue_s=0.1,
                input_tokens=7,
                output_tokens=9,
            )
        ]
    )
    row = record.requests(limit=1)[0]
    assert (row.at, row.user, row.model, row.version, row.finish_reason) == (NOW, "u", "m", "v", "stop")
    assert (row.duration_s, row.ttft_s, row.tpot_s, row.queue_s) == (1.5, 0.2, 0.01, 0.1)
    assert (row.input_tokens, row.output_tokens, row.status_code) == (7, 9, 200)
    assert (row.eligible, row.synthetic) == (True, False)


def test_a_request_is_found_by_its_id_or_by_a_unique_prefix_of_its_event(record: Record) -> None:
    one, two = request(NOW, request_id="same"), request(NOW + 1, request_id="same")
    other = request(NOW + 60, request_id="other")
    record.record([one, two, other])
    assert [found["event.id"] for found in record.request("same")] == [two["event.id"], one["event.id"]]
    assert record.request(other["event.id"][:16]) == [other]
    assert record.request(other["event.id"][:2]) == []
    assert record.request("oth") == [other]
    assert record.request("sam") == []
    assert record.request("") == []
    assert record.request("\ud800") == []


@pytest.mark.parametrize("text", ["' OR 1=1 --", "%", "_", "\x00", '"; DROP TABLE event; --', "\x1b[2J", "名前"])
def test_hostile_text_is_only_text(record: Record, text: str) -> None:
    record.record([request(NOW, request_id=text, error_type=text, outcome="failure")])
    assert len(record.request(text)) == 1
    assert record.outcomes(NOW, NOW + 1) == {text: 1}
    assert record.request("' OR ''='") == []
    assert record.totals() == {"llmops.request": 1}


@pytest.mark.parametrize(
    "other",
    [{}, {"event.id": "x"}, {"@timestamp": "2026-01-01T00:00:00Z"}, {"event.id": 7, "@timestamp": 1}, []],
)
def test_what_is_no_event_is_not_recorded(record: Record, other: Any) -> None:
    assert record.record([other, {"event.id": "y", "@timestamp": "yesterday"}, request(NOW)]) == 1


def test_exemplars_are_the_newest_failures_and_then_the_slowest(record: Record) -> None:
    record.record(
        [
            request(NOW, request_id="old", outcome="failure"),
            request(NOW + 1, request_id="new", outcome="failure", duration_s=7.0),
            request(NOW, request_id="slow", duration_s=5.0),
            request(NOW, request_id="slower", duration_s=6.0),
            request(NOW, request_id="fast"),
            request(NOW, request_id="refused", outcome="failure", slo_eligible=False),
        ]
    )
    assert record.worst(NOW, NOW + 9, slow_s=3.0, limit=9) == ["new", "old", "slower", "slow"]
    assert record.worst(NOW, NOW + 9, slow_s=3.0, limit=3) == ["new", "old", "slower"]
    assert record.worst(NOW, NOW + 9, slow_s=3.0, limit=2, failures_first=False) == ["new", "slower"]
    assert record.worst(NOW, NOW + 9, slow_s=math.inf) == ["new", "old"]


def test_a_series_has_no_holes(record: Record) -> None:
    record.record(
        [
            request(NOW + 1, duration_s=2.0, output_tokens=5),
            request(NOW + 2, outcome="failure", duration_s=1.0, output_tokens=1),
            request(NOW + 11),
            request(NOW + 3, synthetic=True),
        ]
    )
    series = record.series(NOW, NOW + 15, 5.0)
    assert [bucket.start for bucket in series] == [NOW, NOW + 5, NOW + 10]
    assert [bucket.requests for bucket in series] == [2, 0, 1]
    assert (series[0].failed, series[0].output_tokens, series[0].max_duration_s) == (1, 6, 2.0)
    assert series[1].max_duration_s is None
    assert record.series(NOW, NOW, 5.0) == []
    with pytest.raises(ValueError, match="step"):
        record.series(NOW, NOW + 1, 0.0)


def test_samples_come_oldest_first_alerts_and_benchmarks_newest_first(record: Record) -> None:
    record.record(
        [sample(NOW + 1), sample(NOW), alert(NOW), alert(NOW), benchmark(NOW, "b1"), benchmark(NOW + 1, "b2")]
    )
    assert [found["@timestamp"][-4:-1] for found in record.samples(NOW, NOW + 2)] == ["000", "000"]
    assert record.samples(NOW, NOW + 1)[0]["@timestamp"] < record.samples(NOW + 1, NOW + 2)[0]["@timestamp"]
    assert [found["llmops.benchmark.id"] for found in record.benchmarks()] == ["b2", "b1"]
    assert len(record.alerts(limit=1)) == 1
    assert record.totals() == {"llmops.gpu": 2, "llmops.alert": 2, "llmops.benchmark": 2}


def test_a_document_comes_back_as_it_went_in(record: Record) -> None:
    written = document(RequestEvent(at=NOW, request_id="text", error_message="line\nbreak \x1b[31m ünï 🚀 ' \" \\"))
    record.record([written])
    assert record.request("text") == [written]


CONDITIONS: list[tuple[Condition, str]] = [
    (Comparison("latency", ">", 1.0), "bc"),
    (Comparison("latency", "<=", 1.0), "ad"),
    (Comparison("ttft", "<", 0.2), "a"),
    (Comparison("ttft", "!=", 0.1), "bcd"),
    (Comparison("user", "=", "ann"), "ac"),
    (Comparison("user", "~", "n"), "ac"),
    (Comparison("user", "!=", "ann"), "bd"),
    (Comparison("user", "~", "%"), ""),
    (Comparison("user", "~", "*"), ""),
    (Comparison("error", "=", "oom"), "c"),
    (Comparison("error", "!=", "oom"), "abd"),
    (Not(Comparison("error", "~", "o")), "abd"),
    (Comparison("outcome", "=", "failure"), "c"),
    (Comparison("status", ">=", 500), "c"),
    (Comparison("model", "=", "asked"), "b"),
    (Comparison("model", "=", "m"), "a"),
    (Comparison("version", "=", "v1"), "a"),
    (Comparison("finish", "=", "length"), "b"),
    (Comparison("tokens_in", ">", 6), "a"),
    (Comparison("tokens_out", "=", 9), "a"),
    (Comparison("id", "=", "d"), "d"),
    (Comparison("synthetic", "=", True), "d"),
    (Comparison("synthetic", "!=", True), "abc"),
    (Comparison("at", ">=", NOW + 2), "cd"),
    (Every((Comparison("user", "=", "ann"), Comparison("latency", ">", 1.0))), "c"),
    (Some((Comparison("user", "=", "bob"), Comparison("latency", "<", 1.0))), "abd"),
    (Not(Some((Comparison("user", "=", "bob"), Comparison("latency", "<", 1.0)))), "c"),
    (Every(()), "abcd"),
    (Some(()), ""),
]


@pytest.mark.parametrize(("where", "found"), CONDITIONS, ids=str)
def test_requests_are_found_by_what_they_were(record: Record, where: Condition, found: str) -> None:
    answered: dict[str, Any] = {
        "user_id": "ann",
        "user_hash": "h",
        "response_model": "m",
        "request_model": "asked",
        "ttft_s": 0.1,
    }
    counted: dict[str, Any] = {"model_version": "v1", "input_tokens": 7, "output_tokens": 9}
    record.record(
        [
            request(NOW, request_id="a", **answered, **counted),
            request(NOW + 1, request_id="b", duration_s=2.0, user_id="bob", request_model="asked", ttft_s=0.2)
            | {name_of(RequestEvent, "finish_reasons"): ["length"]},
            request(NOW + 2, request_id="c", duration_s=5.0, user_id="ann", outcome="failure", status_code=500)
            | {"error.type": "oom"},
            request(NOW + 3, request_id="d", synthetic=True),
        ]
    )
    assert "".join(sorted(row.request_id for row in record.requests(limit=9, where=where))) == found
    assert len(record.requests(limit=1, where=where)) == min(1, len(found))


def test_usage_is_told_by_user_model_and_version(record: Record) -> None:
    had: dict[str, Any] = {"input_tokens": 10, "output_tokens": 5}
    record.record(
        [
            request(NOW, user_hash="ann", response_model="m", model_version="1", **had),
            request(NOW, user_hash="ann", response_model="m", model_version="2", **had),
            request(NOW, user_hash="bob", response_model="m", model_version="2", outcome="failure"),
            request(NOW, response_model="m", model_version="2", **had),
            request(NOW, user_hash="ann", synthetic=True, **had),
            request(NOW + 1, user_hash="ann", **had),
        ]
    )
    assert record.usage(NOW, NOW + 1, by="user") == [
        Usage(key="ann", requests=2, failed=0, input_tokens=20, output_tokens=10),
        Usage(key="bob", requests=1, failed=1, input_tokens=0, output_tokens=0),
        Usage(key=None, requests=1, failed=0, input_tokens=10, output_tokens=5),
    ]
    assert [(used.key, used.requests) for used in record.usage(NOW, NOW + 1, by="version")] == [("2", 3), ("1", 1)]
    assert [(used.key, used.requests) for used in record.usage(NOW, NOW + 1, by="model", limit=1)] == [("m", 4)]


def test_who_ran_at_a_moment_is_known_by_beginning_and_end(record: Record) -> None:
    record.record(
        [
            request(NOW + 4, request_id="before", duration_s=2.0),
            request(NOW + 6, request_id="ends-within", duration_s=5.0),
            request(NOW + 7, request_id="within", duration_s=1.0),
            request(NOW + 30, request_id="around", duration_s=29.0),
            request(NOW + 30, request_id="after", duration_s=20.0),
        ]
    )
    assert [row.request_id for row in record.alive(NOW + 5, NOW + 10)] == ["ends-within", "within", "around"]
    assert record.alive(NOW + 5, NOW + 10)[0].started_at == NOW + 1
