"""Energy is shared among those who were alive, and none of it is lost or made."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmops.events import SampleEvent
from llmops.store import MemoryStore
from llmops.store.energy import Stretch, energy, shared, stretches
from tests.store.events import document, request

NOW = 1_700_000_000.0


def sample(at: float, device_id: str = "GPU-0", **fields: Any) -> Any:
    return document(SampleEvent(at=at, device_id=device_id, device_name="card", **fields))


def held(*documents: Any) -> MemoryStore:
    store = MemoryStore()
    store.record(documents)
    return store


def test_two_requests_share_what_they_lived_through_together() -> None:
    store = held(
        *(sample(NOW + n, power_w=100.0) for n in range(11)),
        one := request(NOW + 6, duration_s=4.0),
        other := request(NOW + 8, duration_s=4.0),
    )
    found = energy(store, NOW, NOW + 10)
    assert found
    assert found.by_request == pytest.approx({one["event.id"]: 300.0, other["event.id"]: 300.0})
    assert (found.total_j, found.idle_j) == pytest.approx((1000.0, 400.0))
    within = energy(store, NOW + 3, NOW + 5)
    assert within
    assert within.by_request == pytest.approx({one["event.id"]: 150.0, other["event.id"]: 50.0})


def test_the_counter_of_a_card_is_trusted_before_its_power() -> None:
    counted = [sample(NOW, power_w=100.0, energy_j=5000.0), sample(NOW + 2, power_w=100.0, energy_j=5150.0)]
    assert list(stretches(counted)) == [Stretch(NOW, NOW + 2, 150.0)]
    reset = [sample(NOW, power_w=100.0, energy_j=5000.0), sample(NOW + 2, power_w=50.0, energy_j=1.0)]
    assert list(stretches(reset)) == [Stretch(NOW, NOW + 2, 150.0)]


def test_devices_add_up_and_what_nobody_measured_is_not_made_up() -> None:
    both = [sample(NOW + n, device, power_w=10.0) for n in (0, 1, 60) for device in ("a", "b")]
    assert list(stretches(both)) == [Stretch(NOW, NOW + 1, 10.0)] * 2
    assert list(stretches([sample(NOW), sample(NOW + 1)])) == []
    assert energy(held(sample(NOW), sample(NOW + 1), request(NOW + 1)), NOW, NOW + 2) is None


spans = st.tuples(st.integers(0, 50), st.integers(1, 50)).map(lambda pair: (float(pair[0]), float(sum(pair))))


@given(st.lists(spans, max_size=8), st.lists(st.tuples(spans, st.integers(0, 500)), max_size=8))
def test_shares_and_idle_add_up_to_what_was_used(
    lives: list[tuple[float, float]], used: list[tuple[tuple[float, float], int]]
) -> None:
    parts = [Stretch(begin, end, float(joules)) for (begin, end), joules in used]
    shares, idle_j = shared(lives, parts)
    assert sum(shares) + idle_j == pytest.approx(sum(part.joules for part in parts), abs=1e-6)
    assert all(share >= 0.0 for share in shares)
