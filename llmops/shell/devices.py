"""What `llmops status` says of the cards, and of a machine that has none."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from llmops.events.snapshot import DeviceSnapshot

_GIB = 1 << 30
_NO_GPU = "none is here; `llmops up --gpu pretend` shows scripted cards"
_SILENT = "no sample has come of late: gpu.kind is none, or the driver does not answer (try nvidia-smi)"


def device_rows(devices: Sequence[DeviceSnapshot]) -> Iterator[tuple[str, str]]:
    """One for each device; one that says so where no GPU is among them."""
    if not devices:
        yield "gpu", _SILENT
        return
    for device in devices:
        yield device.type, f"{device.name}: {', '.join(_told(device)) or 'tells nothing'}"
    if all(device.type != "gpu" for device in devices):
        yield "gpu", _NO_GPU


def _told(device: DeviceSnapshot) -> Iterator[str]:
    if device.utilization is not None:
        yield f"{100 * device.utilization:.0f} % busy"
    if device.memory_used_bytes is not None and device.memory_limit_bytes:
        yield f"{device.memory_used_bytes / _GIB:.1f} of {device.memory_limit_bytes / _GIB:.1f} GiB"
    if device.power_w is not None:
        yield f"{device.power_w:.0f} W"
    if device.temperature_c is not None:
        yield f"{device.temperature_c:.0f} °C"
