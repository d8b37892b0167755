from __future__ import annotations

import itertools
import math
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmops.alerts.gauges import MEMORY, TEMPERATURE
from llmops.events import SampleEvent
from llmops.gpu.pretend import SCENES, PretendSampler, Scene
from llmops.gpu.waves import Wave, Waves
from llmops.settings import GpuSettings


@given(st.floats(0.0, 4e9), st.sampled_from(SCENES))
def test_the_same_moment_is_the_same_cards(now: float, scene: Scene) -> None:
    assert PretendSampler(scene).sample(now) == PretendSampler(scene).sample(now)


def test_every_scene_is_a_dial() -> None:
    assert get_args(GpuSettings.model_fields["scene"].annotation) == SCENES


def test_another_seed_is_another_day() -> None:
    assert PretendSampler(seed=1).sample(100.0) != PretendSampler(seed=2).sample(100.0)


def test_they_are_named_as_pretended() -> None:
    for sample in PretendSampler().sample(0.0):
        assert "Pretend" in sample.device_name
        assert "pretend" in sample.device_id
        assert sample.vendor == "pretend"


@given(st.floats(0.0, 1e6), st.floats(0.1, 1e6))
def test_their_energy_only_grows(now: float, step: float) -> None:
    for before, after in zip(PretendSampler().sample(now), PretendSampler().sample(now + step), strict=True):
        assert before.energy_j is not None and after.energy_j is not None
        assert after.energy_j > before.energy_j


def test_their_energy_is_what_their_power_adds_up_to() -> None:
    sampler = PretendSampler()
    samples = [sampler.sample(now / 10)[0] for now in range(6001)]
    added = sum(sample.power_w or 0.0 for sample in samples[:-1]) / 10
    assert (samples[-1].energy_j or 0.0) - (samples[0].energy_j or 0.0) == pytest.approx(added, rel=1e-3)


def test_they_warm_up_and_cool_down_slower_than_they_work() -> None:
    sampler = PretendSampler()
    cards = [sampler.sample(float(now))[0] for now in range(1200)]
    busiest = max(range(1200), key=lambda now: cards[now].utilization or 0.0)
    jumps = [abs((b.temperature_c or 0) - (a.temperature_c or 0)) for a, b in itertools.pairwise(cards)]
    assert max(jumps) < 2.0
    assert cards[busiest].temperature_c != max(card.temperature_c or 0.0 for card in cards)


def _played(scene: Scene, seconds: int = 900) -> list[SampleEvent]:
    """The second card, from its first second on."""
    sampler = PretendSampler(scene)
    return [sampler.sample(1e9 + now)[1] for now in range(seconds)]


def test_a_calm_day_gives_no_alert() -> None:
    for card in [*_played("calm"), *(PretendSampler().sample(float(now))[0] for now in range(900))]:
        assert (card.memory_utilization or 0.0) < MEMORY.clear
        assert (card.temperature_c or 0.0) < TEMPERATURE.clear
        assert (card.throttle_reasons, card.ecc_uncorrected, card.xid_count) == ((), 0, 0)


def test_a_hot_card_is_hot_for_long_enough_to_be_told_and_cools_again() -> None:
    hot = [card for card in _played("hot") if (card.temperature_c or 0.0) >= TEMPERATURE.fire]
    assert len(hot) > TEMPERATURE.for_s
    assert any("sw_thermal" in card.throttle_reasons for card in hot)
    assert (_played("hot")[-1].temperature_c or 0.0) < TEMPERATURE.clear


def test_a_full_card_is_full_for_long_enough_and_never_more_than_full() -> None:
    shares = [card.memory_utilization or 0.0 for card in _played("full")]
    assert sum(share >= MEMORY.fire for share in shares) > MEMORY.for_s
    assert max(shares) <= 1.0


def test_a_slowed_card_has_a_reason_and_half_its_clock() -> None:
    slowed = [card for card in _played("slowed") if card.throttle_reasons]
    assert len(slowed) > 300
    assert all((card.clock_sm_hz or 0.0) < 1e9 for card in slowed)


def test_a_failing_card_counts_errors() -> None:
    cards = _played("failing")
    assert (cards[0].ecc_uncorrected, cards[0].xid_last) == (0, None)
    assert (cards[-1].ecc_uncorrected, cards[-1].xid_last) == (7, 48)


@given(st.floats(0.0, 1e5), st.floats(0.0, 300.0))
def test_what_lags_stays_within_what_it_follows(now: float, lag_s: float) -> None:
    waves = Waves(0.5, (Wave(0.3, 60.0, 0.1), Wave(0.2, 7.0, 0.7)))
    assert 0.0 <= waves.at(now, lag_s) <= 1.0


def test_a_wave_that_lags_is_what_a_slow_thing_answers() -> None:
    waves = Waves(0.5, (Wave(0.4, 60.0, 0.2),))
    slow, step_s = waves.at(0.0, 25.0), 0.001
    for tick in range(100_000):
        slow += (waves.at(tick * step_s) - slow) * step_s / 25.0
    assert math.isclose(slow, waves.at(100.0, 25.0), abs_tol=1e-3)
