"""The machine itself as a device: its processor and memory, where there is no GPU to sample."""

from __future__ import annotations

import platform
from collections.abc import Sequence
from pathlib import Path

import psutil

from llmops.events import SampleEvent


class SystemSampler:
    """One device of type `cpu`. Memory in use counts what cannot be given back: total minus available."""

    def __init__(self) -> None:
        self._model = _processor()
        psutil.cpu_percent()  # the first call only starts the interval that the next one reports

    def sample(self, now: float) -> Sequence[SampleEvent]:
        """Processor time used since the last call, 0..1 over all cores, and memory in bytes."""
        memory = psutil.virtual_memory()
        used = int(memory.total - memory.available)
        return (
            SampleEvent(
                at=now,
                device_id=f"cpu-{platform.node() or 'localhost'}",
                device_name=f"{psutil.cpu_count() or 1} CPU cores",
                device_type="cpu",
                device_model=self._model,
                memory_used_bytes=used,
                memory_limit_bytes=int(memory.total),
                memory_utilization=used / memory.total,
                cpu_utilization=psutil.cpu_percent() / 100,
                system_memory_used_bytes=used,
                system_memory_limit_bytes=int(memory.total),
            ),
        )

    def close(self) -> None:
        """Nothing is held."""


def _processor() -> str | None:
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.processor() or None
