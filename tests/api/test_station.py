"""What a snapshot says of the machine that computes."""

from __future__ import annotations

import dataclasses
import time

import pytest

from llmops.admission.bucket import Buckets
from llmops.admission.gate import Gate
from llmops.api.station import Station
from llmops.engine.contract import ModelCard
from llmops.engine.echo import EchoEngine
from llmops.events import Bus, SampleEvent
from llmops.inference.meter import TokenMeter
from tests.api.running import ORIGIN

GPU = SampleEvent(at=0.0, device_id="GPU-1", device_name="RTX 4090", driver_version="575.57")
CPU = SampleEvent(at=0.0, device_id="cpu", device_name="CPU", device_type="cpu")


class OnACard(EchoEngine):
    """Says that it computes with this CUDA."""

    cuda: str | None = None

    @property
    def card(self) -> ModelCard:
        return dataclasses.replace(super().card, cuda_version=self.cuda)


@pytest.mark.parametrize(
    ("cuda", "devices", "told"),
    [
        ("12.8", (GPU,), {"cuda": "12.8", "driver": "575.57"}),
        ("12.8", (CPU, GPU), {"cuda": "12.8", "driver": "575.57"}),
        ("12.8", (), {"cuda": "12.8"}),
        (None, (GPU,), {}),  # a card is there, but the model is not on it
    ],
)
async def test_versions_of_cuda_and_driver_are_told_where_a_card_computes(
    cuda: str | None, devices: tuple[SampleEvent, ...], told: dict[str, str]
) -> None:
    engine = OnACard()
    engine.cuda = cuda
    bus = Bus(ORIGIN, ())
    station = Station(
        engine=engine,
        gate=Gate(max_running=1, queue_size=1, buckets=Buckets(rate_per_s=1, burst=1), clock=time.monotonic),
        meter=TokenMeter(),
        bus=bus,
        instance_id="test",
        process_id=1,
        started_at=0.0,
        previous_exit="none",
        model_name="echo",
        environment={"torch": "2.13.0"},
        devices=lambda: devices,
    )
    assert station.snapshot().environment == {"torch": "2.13.0"}  # nothing computes before it has started
    await engine.start()
    assert station.snapshot().environment == {"torch": "2.13.0"} | told
    await engine.stop()
    bus.close()
