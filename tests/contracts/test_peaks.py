"""The ledger of the memory, in every record: what was predicted beside what was measured."""

from __future__ import annotations

from typing import Any

import pytest

from llmops.store import Peak, Record
from tests.store.events import ORIGIN, request

NOW = 1_800_000_000.0
TOLD: dict[str, Any] = {"predicted_peak_bytes": 100, "peak_allocated_bytes": 103}


def test_the_newest_requests_that_tell_both_come_newest_first(record: Record) -> None:
    record.record(
        [
            request(NOW, **TOLD),
            request(NOW + 1, predicted_peak_bytes=100),
            request(NOW + 2, peak_allocated_bytes=103, outcome="failure"),
            request(NOW + 3, **TOLD | {"peak_allocated_bytes": 99}, synthetic=True),
        ]
    )
    newest, oldest = Peak(NOW + 3, ORIGIN.instance_id, 100, 99), Peak(NOW, ORIGIN.instance_id, 100, 103)
    assert record.peaks(among=9) == [newest, oldest]
    assert record.peaks(among=3) == [newest]
    assert record.peaks(among=-1) == []


@pytest.mark.parametrize("value", ["much", -1, 1.5e300, None, [1]])
def test_a_peak_that_is_no_number_of_bytes_is_none(record: Record, value: object) -> None:
    document = request(NOW, **TOLD) | {"llmops.gpu.memory.peak_allocated": value}
    record.record([document])
    assert record.peaks(among=9) == []


def test_a_record_without_requests_has_no_peaks(record: Record) -> None:
    assert record.peaks(among=9) == []
