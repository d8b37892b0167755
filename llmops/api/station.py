"""What the routes need to know of the process that they run in, put together by the program."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Sequence
from typing import Literal

from llmops.admission.gate import Gate
from llmops.engine.contract import Engine, ModelCard, Sampling
from llmops.engine.errors import EngineError
from llmops.events import SCHEMA_VERSION, Bus, SampleEvent
from llmops.events.snapshot import DeviceSnapshot, ModelSnapshot, RequestDefaults, ServeSnapshot, ServeState
from llmops.inference.meter import TokenMeter
from llmops.inference.speed import SpeedEstimate


@dataclasses.dataclass(kw_only=True)
class Station:
    """The live parts of one serve process, and the snapshot of them."""

    engine: Engine
    gate: Gate
    meter: TokenMeter
    bus: Bus
    instance_id: str
    process_id: int
    started_at: float
    previous_exit: Literal["none", "clean", "crash"]
    model_name: str
    environment: dict[str, str] = dataclasses.field(default_factory=dict)
    speed: SpeedEstimate = dataclasses.field(default_factory=SpeedEstimate)
    sample_interval_s: float = 1.0
    request_defaults: RequestDefaults = RequestDefaults()
    devices: Callable[[], tuple[SampleEvent, ...]] = tuple
    is_sampling: Callable[[], bool] = lambda: True
    outcomes: dict[str, int] = dataclasses.field(default_factory=dict)
    refusals: dict[str, int] = dataclasses.field(default_factory=dict)

    @property
    def state(self) -> ServeState:
        """Draining wins over what the engine says; without its events a serve that answers is degraded."""
        if self.gate.draining:
            return "draining"
        state = self.engine.health().state
        return "degraded" if state == "ready" and not self.bus.is_alive else state

    @property
    def reason(self) -> str:
        """Why the state is what it is, in one sentence; empty while all is well."""
        return self.engine.health().reason or (
            "" if self.bus.is_alive else f"Events are not written: {self.bus.trouble}."
        )

    @property
    def is_alive(self) -> bool:
        """False when only a new process helps: the engine is dead, or the thread that writes events has ended."""
        return self.engine.health().state != "dead" and self.bus.is_alive

    @property
    def card(self) -> ModelCard | None:
        """The model, or None while it loads and when it could not be loaded."""
        if self.engine.health().state == "starting":
            return None
        try:
            return self.engine.card
        except EngineError:
            return None

    @property
    def defaults(self) -> RequestDefaults:
        """What applies where a request does not say."""
        sampling = Sampling() if self.card is None else self.card.sampling
        return dataclasses.replace(
            self.request_defaults, temperature=sampling.temperature, top_p=sampling.top_p, top_k=sampling.top_k
        )

    def snapshot(self) -> ServeSnapshot:
        """Everything at this moment; costs microseconds and never waits."""
        card, devices = self.card, self.devices()
        stats = None if card is None else self.engine.stats()
        return ServeSnapshot(
            schema_version=SCHEMA_VERSION,
            at=time.time(),
            instance_id=self.instance_id,
            process_id=self.process_id,
            started_at=self.started_at,
            previous_exit=self.previous_exit,
            state=self.state,
            model=ModelSnapshot(id=self.model_name, version="", engine="") if card is None else _model(card),
            running=self.gate.running,
            running_capacity=self.gate.max_running,
            waiting=self.gate.waiting,
            waiting_capacity=self.gate.queue_size,
            output_tokens_per_s=self.meter.rate(time.monotonic()),
            requests_by_outcome=dict(self.outcomes),
            refusals_by_slug=dict(self.refusals),
            kv_cache_utilization=None if stats is None else stats.kv_cache_utilization,
            room_tokens=None if stats is None else stats.room_tokens,
            events_dropped=self.bus.lost,
            events_waiting=self.bus.waiting,
            events_trouble=self.bus.trouble,
            expected_output_tokens_per_s=self.speed.speed.output_tokens_per_s,
            expected_input_tokens_per_s=self.speed.speed.input_tokens_per_s,
            defaults=self.defaults,
            threads={"events": self.bus.is_alive, "samples": self.is_sampling()},
            devices=tuple(_device(sample) for sample in devices),
            sample_interval_s=self.sample_interval_s,
            environment=self.environment | _of_the_card(card, devices),
        )


def _of_the_card(card: ModelCard | None, devices: Sequence[SampleEvent]) -> dict[str, str]:
    """Versions that are known where a card computes; runs without them are none of a card."""
    cuda = None if card is None else card.cuda_version
    if cuda is None:
        return {}
    driver = next((device.driver_version for device in devices if device.driver_version is not None), None)
    return {"cuda": cuda} if driver is None else {"cuda": cuda, "driver": driver}


def _model(card: ModelCard) -> ModelSnapshot:
    return ModelSnapshot(
        id=card.id,
        version=card.version,
        engine=card.engine,
        dtype=card.dtype,
        quantization=card.quantization,
        max_model_len=card.max_model_len,
        is_demo=card.is_demo,
        weights_bytes=card.weights_bytes,
        cache_bytes=card.cache_bytes,
    )


def _device(sample: SampleEvent) -> DeviceSnapshot:
    busy = sample.utilization if sample.utilization is not None else sample.cpu_utilization
    return DeviceSnapshot(
        id=sample.device_id,
        name=sample.device_name,
        type=sample.device_type,
        utilization=busy,
        memory_used_bytes=sample.memory_used_bytes,
        memory_limit_bytes=sample.memory_limit_bytes,
        power_w=sample.power_w,
        temperature_c=sample.temperature_c,
    )
