"""Numbers with a limit: each fires above one value and clears below a lower one, so that a swing gives one alert."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from llmops.alerts.phrases import say
from llmops.alerts.rules import Finding

VRAM_RULE_ID = "vram"
LEAK_RULE_ID = "vram_leak"
TEMPERATURE_RULE_ID = "gpu_temperature"
QUEUE_RULE_ID = "queue_saturated"
LAG_RULE_ID = "journal_lag"
SKEW_RULE_ID = "clock_skew"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Fire at one value and above, clear below another, and stay there for a while."""

    fire: float
    clear: float
    for_s: float
    keep_s: float


MEMORY = Limits(fire=0.80, clear=0.75, for_s=120.0, keep_s=300.0)
"""Share of a device's memory."""
LEAK = Limits(fire=0.02, clear=0.01, for_s=60.0, keep_s=300.0)
"""Share of the predicted peak by which the memory of a card has grown beyond it."""
TEMPERATURE = Limits(fire=87.0, clear=82.0, for_s=120.0, keep_s=300.0)
"""In degrees Celsius. A card's own limits differ: NVIDIA's board specification BD-06580-001 (GRID K2) has 92 for the
slowdown and 97 for the shutdown; `nvidia-smi -q -d TEMPERATURE` prints those of a card."""
QUEUE = Limits(fire=0.9, clear=0.5, for_s=60.0, keep_s=120.0)
"""Share of the places where requests wait."""
LAG = Limits(fire=60.0, clear=30.0, for_s=60.0, keep_s=60.0)
"""In seconds."""
SKEW = Limits(fire=5.0, clear=3.0, for_s=30.0, keep_s=30.0)
"""In seconds. An answer may take two of them; a clock that is more than this off is wrong by itself."""


def gauge_finding(rule_id: str, values: Mapping[str, float], limits: Limits, *, is_firing: bool) -> Finding:
    """The highest of the values speaks, under its name; none: not known. Once firing, the lower limit counts, so that
    it cannot flap between the two. Its sentences are `<rule>`, `<rule>.above`, `<rule>.below` and `<rule>.unknown`."""
    device = max(values, key=lambda name: values[name], default=None)
    value = values[device] if device is not None else None
    threshold = limits.clear if is_firing else limits.fire
    active = None if value is None else value >= threshold
    sentence = "unknown" if active is None else "above" if active else "below"
    return Finding(
        rule_id=rule_id,
        name=say(rule_id),
        severity="ticket",
        active=active,
        value=value,
        threshold=limits.fire,
        reason=say(f"{rule_id}.{sentence}", device=device, value=value, threshold=threshold),
        for_s=limits.for_s,
        keep_s=limits.keep_s,
    )


def one(value: float | None) -> dict[str, float]:
    """The values of a gauge that has one or none."""
    return {} if value is None else {"": value}
