"""What every record counts for objectives of first tokens and of probes: on disk, in memory, in Elasticsearch."""

from __future__ import annotations

import math

from llmops.store import Judged, Over, Record
from tests.store.events import benchmark, probe, request

NOW = 1_700_000_000.0


def test_first_tokens_are_bad_when_they_come_late_or_never(record: Record) -> None:
    record.record(
        [
            request(NOW, ttft_s=2.0),
            request(NOW, ttft_s=2.001),
            request(NOW, ttft_s=0.1, outcome="failure", error_type="oom"),
            request(NOW, ttft_s=9.0, outcome="failure", error_type="oom"),
            request(NOW, outcome="failure", error_type="queue_full"),
            request(NOW, duration_s=9.0),
            request(NOW, outcome="failure", error_type="rate_limited", slo_eligible=False),
            request(NOW, ttft_s=60.0, synthetic=True, slo_eligible=True),
        ]
    )
    assert record.first_tokens(NOW, NOW + 1, late_s=2.0) == Judged(total=5, bad=3)
    assert record.first_tokens(NOW, NOW + 1, late_s=0.05) == Judged(total=5, bad=5)
    assert record.first_tokens(NOW, NOW + 1, late_s=math.inf) == Judged(total=5, bad=1)
    assert record.first_tokens(NOW + 1, NOW + 2, late_s=2.0) == Judged(total=0, bad=0)


def test_probes_are_good_when_they_were_answered(record: Record) -> None:
    record.record(
        [
            probe(NOW),
            probe(NOW + 1, completed=0, failed=1),
            probe(NOW + 2, completed=0),
            probe(NOW + 3, completed=1, failed=1),
            probe(NOW + 4),
            benchmark(NOW, failed=7),
            request(NOW, synthetic=True, outcome="failure"),
        ]
    )
    assert record.probes(NOW, NOW + 4) == Judged(total=4, bad=3)
    assert record.probes(NOW + 4, NOW + 5) == Judged(total=1, bad=0)
    assert record.probes(NOW + 5, NOW + 6) == Judged(total=0, bad=0)
    assert len(record.benchmarks(limit=9, suite=None)) == 6


def test_exemplars_of_late_first_tokens_are_the_latest(record: Record) -> None:
    record.record(
        [
            request(NOW, request_id="late", ttft_s=3.0, duration_s=4.0),
            request(NOW, request_id="latest", ttft_s=4.0, duration_s=4.0, outcome="failure"),
            request(NOW, request_id="early", ttft_s=0.1, duration_s=90.0),
            request(NOW, request_id="never", outcome="failure", duration_s=90.0),
        ]
    )
    assert record.worst(NOW, NOW + 9, slow_s=2.0, by="ttft", failures_first=False) == ["latest", "late"]
    assert record.worst(NOW, NOW + 9, slow_s=2.0, by="ttft") == ["never", "latest", "late"]


def test_requests_with_a_limit_of_their_own_are_bad_when_they_took_longer(record: Record) -> None:
    record.record(
        [
            request(NOW, request_id="in time", over_limit=False, duration_limit_s=9.0, duration_s=8.0),
            request(NOW, request_id="late", over_limit=True, duration_limit_s=3.0, duration_s=4.0),
            request(NOW + 2, request_id="later", over_limit=True, duration_limit_s=3.0, duration_s=60.0),
            request(NOW, request_id="without", duration_s=90.0),
            request(NOW, over_limit=True, duration_s=9.0, synthetic=True),
            request(NOW, over_limit=True, duration_s=9.0, slo_eligible=False),
        ]
    )
    assert record.limited(NOW, NOW + 9) == Judged(total=3, bad=2)
    assert record.limited(NOW, NOW + 1) == Judged(total=2, bad=1)
    assert record.limited(NOW + 5, NOW + 9) == Judged(total=0, bad=0)
    assert record.worst(NOW, NOW + 9, slow_s=0.0, by="limit", failures_first=False) == ["later", "late"]
    assert [each.bad for each in record.blame(NOW, NOW + 9, by="hour", over=Over("limit", 0.0))] == [2]
    assert [each.over_limit for each in record.ended(NOW, NOW + 9) if each.duration_s != 90.0] == [False, True, True]
