"""A scripted card for demos and screens: always there, a pure function of time, plainly named as pretended."""

from __future__ import annotations

import math
from collections.abc import Sequence

from llmops.events import SampleEvent

_GIB = 1 << 30
_LIMIT_BYTES = 12 * _GIB
_PERIOD_S = 60.0


class PretendSampler:
    """Load swings once a minute between idle and busy; memory, power and temperature follow it."""

    def sample(self, now: float) -> Sequence[SampleEvent]:
        """The card at this time; the same time gives the same card."""
        load = 0.5 - 0.45 * math.cos(2 * math.pi * now / _PERIOD_S)
        used = int((0.45 + 0.25 * load) * _LIMIT_BYTES)
        return (
            SampleEvent(
                at=now,
                device_id="GPU-pretend-0",
                device_name="Pretend GPU 12 GB",
                device_model="Pretend GPU 12 GB",
                vendor="pretend",
                driver_version="0",
                utilization=load,
                memory_used_bytes=used,
                memory_limit_bytes=_LIMIT_BYTES,
                memory_utilization=used / _LIMIT_BYTES,
                memory_controller_utilization=0.6 * load,
                power_w=30.0 + 170.0 * load,
                power_limit_w=200.0,
                energy_j=115.0 * now,
                temperature_c=38.0 + 34.0 * load,
                clock_sm_hz=(0.6 + 1.9 * load) * 1e9,
            ),
        )

    def close(self) -> None:
        """Nothing is held."""
