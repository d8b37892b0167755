"""What a card, or a part of one, is said to be doing where little or nothing is known of it."""

from __future__ import annotations

import dataclasses
from typing import Any

from llmops.events import SampleEvent
from llmops.gpu.asking import Questions
from llmops.gpu.identity import Identity, memory_of
from llmops.gpu.xids import XidCount


def bare_sample(identity: Identity, now: float, xids: XidCount | None = None) -> SampleEvent:
    """One without measurements."""
    return SampleEvent(
        at=now,
        device_id=identity.id,
        device_name=identity.name,
        device_model=identity.name,
        vendor="nvidia",
        driver_version=identity.driver_version,
        xid_count=None if xids is None else xids.count,
        xid_last=None if xids is None else xids.last,
    )


def part_sample(handle: Any, identity: Identity, now: float) -> SampleEvent:
    """One of a MIG part, of which NVML tells the memory alone. Raises NVMLError where card or driver are away."""
    used, total = memory_of(handle, Questions())
    return dataclasses.replace(
        bare_sample(identity, now),
        memory_used_bytes=used,
        memory_limit_bytes=total,
        memory_utilization=used / total if used is not None and total else None,
    )
