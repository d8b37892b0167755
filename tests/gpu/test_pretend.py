from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from llmops.gpu.pretend import PretendSampler


@given(st.floats(0.0, 4e9))
def test_the_same_moment_is_the_same_card(now: float) -> None:
    assert PretendSampler().sample(now) == PretendSampler().sample(now)


def test_it_is_named_as_pretended() -> None:
    (sample,) = PretendSampler().sample(0.0)
    assert "Pretend" in sample.device_name
    assert "pretend" in sample.device_id


@given(st.floats(0.0, 1e6), st.floats(0.1, 1e6))
def test_its_energy_only_grows(now: float, step: float) -> None:
    before, after = PretendSampler().sample(now)[0], PretendSampler().sample(now + step)[0]
    assert before.energy_j is not None and after.energy_j is not None
    assert after.energy_j > before.energy_j
