"""The contract of every sampler, run on each that works without a driver."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import pytest

from llmops.gpu.build import NoSampler, SamplerKind, build_sampler
from llmops.gpu.contract import Sampler


@pytest.fixture(params=["system", "pretend", "auto", "none"])
def sampler(request: pytest.FixtureRequest) -> Iterator[Sampler]:
    kind: SamplerKind = request.param
    sampler = build_sampler(kind)
    yield sampler
    sampler.close()


def test_samples_carry_the_time_that_was_asked_for(sampler: Sampler) -> None:
    assert {sample.at for sample in sampler.sample(1234.5)} <= {1234.5}


def test_every_device_has_an_id_of_its_own_that_stays(sampler: Sampler) -> None:
    first, second = ([sample.device_id for sample in sampler.sample(now)] for now in (1.0, 2.0))
    assert first == second
    assert len(set(first)) == len(first)
    assert all(first)


def test_fractions_are_fractions_and_use_is_within_the_limit(sampler: Sampler) -> None:
    for now in range(0, 100, 7):
        for sample in sampler.sample(float(now)):
            values = dataclasses.asdict(sample)
            fractions = [value for name, value in values.items() if name.endswith("utilization") and value is not None]
            assert all(0.0 <= value <= 1.0 for value in fractions)
            if sample.memory_limit_bytes is not None and sample.memory_used_bytes is not None:
                assert 0 <= sample.memory_used_bytes <= sample.memory_limit_bytes


def test_closing_twice_is_harmless(sampler: Sampler) -> None:
    sampler.close()
    sampler.close()


def test_only_none_has_no_devices(sampler: Sampler) -> None:
    assert bool(sampler.sample(0.0)) is not isinstance(sampler, NoSampler)
