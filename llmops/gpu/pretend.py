"""Scripted cards for demos and screens: a pure function of time, seed and scene, plainly named as pretended."""

from __future__ import annotations

import dataclasses
import math
import random
from collections.abc import Sequence
from typing import Literal, TypeAlias, get_args

from llmops.events import SampleEvent
from llmops.gpu.waves import Wave, Waves

Scene: TypeAlias = Literal["calm", "hot", "full", "slowed", "failing"]
SCENES: tuple[Scene, ...] = get_args(Scene)
_GIB = 1 << 30
_LIMIT_BYTES = 24 * _GIB
_IDLE_W, _LIMIT_W = 28.0, 350.0
_IDLE_C, _WARM_C, _HOT_C = 34.0, 40.0, 24.0
_HEATING_S = 25.0
_FILLING_S = 40.0
_CYCLE_S, _TROUBLE_FROM_S, _TROUBLE_S, _ONSET_S = 900.0, 30.0, 510.0, 45.0
_FAULT_EVERY_S = 120.0
_XID_OF_ECC = 48


class PretendSampler:
    """Two cards, one busier. `scene`: what goes wrong with the second, after half a minute and for eight and a half,
    then again every quarter of an hour; counted from the first sample."""

    def __init__(self, scene: Scene = "calm", *, seed: int = 1, cards: int = 2) -> None:
        self._scene = scene
        rngs = [random.Random(f"{seed} {number}") for number in range(cards)]  # noqa: S311
        self._loads = [_load(rng, busy=number == 0) for number, rng in enumerate(rngs)]
        self._began: float | None = None

    def sample(self, now: float) -> Sequence[SampleEvent]:
        """The cards at this time; the same time since the first sample gives the same cards."""
        if self._began is None:
            self._began = now
        calm = [_calm(number, load, now) for number, load in enumerate(self._loads)]
        return [*calm[:-1], _played(self._scene, calm[-1], max(0.0, now - self._began))]

    def close(self) -> None:
        """Nothing is held."""


def _load(rng: random.Random, *, busy: bool) -> Waves:
    """Requests come in swells: slow ones, and quick ones on top; always within 0..1."""
    middle, room = (0.55, 0.42) if busy else (0.35, 0.32)
    shares = ((0.5, 180.0), (0.3, 47.0), (0.2, 13.0))
    return Waves(
        middle, tuple(Wave(room * share, period * rng.uniform(0.8, 1.25), rng.random()) for share, period in shares)
    )


def _calm(number: int, load: Waves, now: float) -> SampleEvent:
    busy, warmth = load.at(now), load.at(now, lag_s=_HEATING_S)
    used = int((0.50 + 0.2 * load.at(now, lag_s=_FILLING_S)) * _LIMIT_BYTES)
    return SampleEvent(
        at=now,
        device_id=f"GPU-{number}-pretend",
        device_name=f"Pretend GPU {number} 24 GB",
        device_model="Pretend GPU 24 GB",
        vendor="pretend",
        driver_version="0",
        utilization=busy,
        memory_used_bytes=used,
        memory_limit_bytes=_LIMIT_BYTES,
        memory_utilization=used / _LIMIT_BYTES,
        memory_controller_utilization=0.6 * busy,
        power_w=_IDLE_W + 0.85 * (_LIMIT_W - _IDLE_W) * busy,
        power_limit_w=_LIMIT_W,
        energy_j=_IDLE_W * now + 0.85 * (_LIMIT_W - _IDLE_W) * load.integral(now),
        temperature_c=_IDLE_C + _WARM_C * warmth,
        clock_sm_hz=(0.9 + 0.9 * busy) * 1e9,
        clock_memory_hz=9.5e9,
        ecc_corrected=0,
        ecc_uncorrected=0,
        xid_count=0,
        pcie_tx_bytes_per_s=4e6 + 60e6 * busy,
        pcie_rx_bytes_per_s=6e6 + 90e6 * busy,
    )


def _played(scene: Scene, card: SampleEvent, elapsed_s: float) -> SampleEvent:
    """The card as the scene has it; what it does comes and goes over three quarters of a minute."""
    share = _trouble(elapsed_s)
    if scene == "hot":
        heat_c = (card.temperature_c or 0.0) * (1 - share) + (68.0 + _HOT_C) * share
        return dataclasses.replace(_slowed(card, share, "sw_thermal"), temperature_c=heat_c)
    if scene == "full":
        used = int((card.memory_used_bytes or 0) * (1 - share) + 0.97 * _LIMIT_BYTES * share)
        return dataclasses.replace(card, memory_used_bytes=used, memory_utilization=used / _LIMIT_BYTES)
    if scene == "slowed":
        return _slowed(card, share, "hw_power_brake")
    if scene == "failing":
        faults = int(max(0.0, elapsed_s - _TROUBLE_FROM_S) // _FAULT_EVERY_S)
        last = _XID_OF_ECC if faults else None
        return dataclasses.replace(card, ecc_uncorrected=faults, xid_count=faults, xid_last=last)
    return card


def _slowed(card: SampleEvent, share: float, why: str) -> SampleEvent:
    if share < 0.5:
        return card
    return dataclasses.replace(card, clock_sm_hz=0.5 * (card.clock_sm_hz or 0.0), throttle_reasons=(why,))


def _trouble(elapsed_s: float) -> float:
    """How much of it there is, 0..1."""
    since_s = math.fmod(elapsed_s, _CYCLE_S) - _TROUBLE_FROM_S
    return min(1.0, max(0.0, min(since_s, _TROUBLE_S - since_s) / _ONSET_S))
