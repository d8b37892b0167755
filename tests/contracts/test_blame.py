"""What every record promises of eligible requests one by one, and of whose the bad ones were."""

from __future__ import annotations

import pytest

from llmops.store import Blame, Blamed, Ended, Over, Probed, Record
from tests.store.events import benchmark, probe, request

NOW = 1_700_000_000.0
"""22:13 UTC."""


@pytest.fixture
def filled(record: Record) -> Record:
    record.record(
        [
            request(NOW, user_hash="ann", model_version="v1", response_model="m", outcome="failure", error_type="oom"),
            request(NOW + 1, user_hash="ann", model_version="v2", outcome="failure", error_type="oom", duration_s=9.0),
            request(NOW + 3600, user_hash="bob", model_version="v2", outcome="failure", duration_s=2.0),
            request(NOW + 86_400, user_hash="ann", model_version="v2", duration_s=7.0, ttft_s=2.0),
            request(NOW + 86_401, duration_s=3.0, ttft_s=0.5),
            request(NOW, user_hash="cid", outcome="failure", error_type="bad_request", slo_eligible=False),
            request(NOW, user_hash="cid", outcome="failure", duration_s=9.0, synthetic=True),
            request(NOW - 1, user_hash="dan", outcome="failure", duration_s=9.0),
            request(NOW + 90_000, user_hash="dan", outcome="failure", duration_s=9.0),
        ]
    )
    return record


def blame(record: Record, by: Blamed, over: Over | None = None, limit: int = 100) -> list[tuple[str | None, int]]:
    found = record.blame(NOW, NOW + 90_000, by=by, over=over, limit=limit)
    assert all(isinstance(each, Blame) for each in found)
    return [(each.key, each.bad) for each in found]


def test_failures_of_eligible_requests_are_told_by_whose_they_were(filled: Record) -> None:
    assert blame(filled, "user") == [("ann", 2), ("bob", 1)]
    assert blame(filled, "version") == [("v2", 2), ("v1", 1)]
    assert blame(filled, "model") == [(None, 2), ("m", 1)]
    assert blame(filled, "error") == [("oom", 2), ("_OTHER", 1)]
    assert blame(filled, "hour") == [("22", 2), ("23", 1)]


def test_slow_ones_count_whatever_became_of_them(filled: Record) -> None:
    slow = Over("duration", 3.0)
    assert blame(filled, "user", slow) == [("ann", 2)]
    assert blame(filled, "error", slow) == [("oom", 1), (None, 1)]
    assert blame(filled, "hour", slow) == [("22", 2)]


def test_a_first_token_that_never_came_is_to_blame_as_a_late_one(filled: Record) -> None:
    for late_s, expected in ((1.0, [("ann", 3), ("bob", 1)]), (0.4, [("ann", 3), ("bob", 1), (None, 1)])):
        assert blame(filled, "user", Over("ttft", late_s)) == expected
        judged = filled.first_tokens(NOW, NOW + 90_000, late_s=late_s)
        assert judged.bad == sum(bad for _, bad in expected)
    assert blame(filled, "error", Over("ttft", 1.0)) == [("oom", 2), ("_OTHER", 1), (None, 1)]


def test_most_come_first_of_equal_ones_in_order_and_no_more_than_asked_for(filled: Record) -> None:
    filled.record([request(NOW + 5, user_hash=name, outcome="failure") for name in ("zoe", "abe")])
    filled.record([request(NOW + 5, outcome="failure")])
    assert blame(filled, "user") == [("ann", 2), ("abe", 1), ("bob", 1), ("zoe", 1), (None, 1)]
    assert blame(filled, "user", limit=2) == [("ann", 2), ("abe", 1)]
    assert blame(filled, "user", limit=-1) == []


def test_eligible_requests_come_one_by_one_oldest_first(filled: Record) -> None:
    assert filled.ended(NOW + 1, NOW + 90_000) == [
        Ended(NOW + 1, 9.0, None, True),
        Ended(NOW + 3600, 2.0, None, True),
        Ended(NOW + 86_400, 7.0, 2.0, False),
        Ended(NOW + 86_401, 3.0, 0.5, False),
    ]
    assert filled.oldest() == NOW - 1


def test_probes_come_one_by_one_oldest_first(record: Record) -> None:
    record.record([probe(NOW + 1), probe(NOW, completed=0), benchmark(NOW, failed=7), probe(NOW + 9)])
    assert record.probed(NOW, NOW + 9) == [Probed(NOW, True), Probed(NOW + 1, False)]


def test_a_record_without_requests_blames_nobody(record: Record) -> None:
    assert record.oldest() is None
    assert record.ended(0.0, NOW) == []
    assert record.probed(0.0, NOW) == []
    keys: tuple[Blamed, ...] = ("user", "model", "version", "error", "hour")
    for by in keys:
        assert record.blame(0.0, NOW, by=by) == []


@pytest.mark.parametrize("text", ["' OR 1=1 --", "\x1b[2J", "名前"])
def test_hostile_keys_are_only_text(record: Record, text: str) -> None:
    record.record([request(NOW, user_hash=text, error_type=text, outcome="failure")])
    assert blame(record, "user") == [(text, 1)]
    assert blame(record, "error") == [(text, 1)]
