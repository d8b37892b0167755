"""Facts of the cards and of the heavy libraries, each asked in a process of its own."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import psutil

from llmops.doctor.asking import NoAnswer, ask
from llmops.doctor.facts import BitsandbytesFacts, Card, GpuFacts, Holder, TorchFacts
from llmops.state.files import read_private

_FIRST_PROCESSES = "pid:[4026531836]"
"""The machine's own namespace of processes (PROC_PID_INIT_INO of the kernel)."""
_NVIDIA, _DISPLAY = "0x10de", "0x03"
"""Vendor and class of a graphics card on the PCI bus."""


def gpu_facts(
    run: Path, *, timeout_s: float, environment: Mapping[str, str] | None = None, root: Path = Path("/")
) -> GpuFacts:
    """All that NVML tells. run: the folder that says which processes are ours."""
    on_bus = is_on_bus(root)
    try:
        told = ask("gpu/roll_call.py", timeout_s=timeout_s, environment=environment)
    except NoAnswer as error:
        return GpuFacts(problem="failed", told=f"NVML {error}", is_on_bus=on_bus)
    if told["problem"] is not None:
        return GpuFacts(problem=told["problem"], told=told["told"], is_on_bus=on_bus)
    ours, versions = serve_processes(run), told["versions"]
    return GpuFacts(
        is_on_bus=on_bus,
        driver=versions["driver"],
        cuda=None if versions["cuda"] is None else (versions["cuda"][0], versions["cuda"][1]),
        cards=tuple(_card(each, ours) for each in told["cards"]),
        is_contained=is_contained(root),
        peers={(one, other): reaches for one, other, reaches in told["peers"]},
    )


def is_on_bus(root: Path = Path("/")) -> bool:
    """An NVIDIA card is in the machine: on the PCI bus, or as the device of WSL with its driver."""
    if (root / "dev/nvidiactl").exists() or (root / "usr/lib/wsl/lib/libnvidia-ml.so.1").exists():
        return True
    return any(
        _first_line(device / "vendor") == _NVIDIA and _first_line(device / "class").startswith(_DISPLAY)
        for device in (root / "sys/bus/pci/devices").glob("*")
    )


def is_contained(root: Path = Path("/")) -> bool:
    """Process numbers here are not the machine's."""
    try:
        return str((root / "proc/self/ns/pid").readlink()) != _FIRST_PROCESSES
    except OSError:
        return False


def _first_line(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError):
        return ""


def serve_processes(run: Path) -> frozenset[int]:
    """Numbers of the processes that the run files of serve name."""
    found = set()
    for path in run.glob("serve-*.json"):
        try:
            found.add(int(json.loads(read_private(path, most_bytes=1 << 16))["process_id"]))
        except (OSError, ValueError, KeyError, TypeError, OverflowError, RecursionError):
            continue
    return frozenset(found)


def _card(told: dict[str, Any], ours: frozenset[int]) -> Card:
    capability = told["compute_capability"]
    return Card(
        id=told["id"],
        name=told["name"],
        used_bytes=told["memory_used_bytes"],
        total_bytes=told["memory_total_bytes"],
        utilization=told["utilization"],
        capability=None if capability is None else (capability[0], capability[1]),
        links={int(link): is_up for link, is_up in told["links"].items()},
        holders=tuple(_holder(each["pid"], each["name"], each["used_bytes"], ours) for each in told["processes"]),
    )


def _holder(pid: int, name: str | None, used_bytes: int | None, ours: frozenset[int]) -> Holder:
    """A process of another container has a number that says nothing here, or another process's. name: the driver's."""
    try:
        process = psutil.Process(pid)
        lineage = {pid, *(parent.pid for parent in process.parents())}
        return Holder(pid=pid, name=process.name(), used_bytes=used_bytes, is_ours=bool(lineage & ours))
    except psutil.Error:
        return Holder(pid=pid, name=name, used_bytes=used_bytes)


def torch_facts(*, timeout_s: float, environment: Mapping[str, str] | None = None) -> TorchFacts:
    """What torch says of itself, or why it can't."""
    try:
        told = ask("engine/environment.py", "torch", timeout_s=timeout_s, environment=environment)
    except NoAnswer as error:
        return TorchFacts(broken=str(error))
    return TorchFacts(**told | {"architectures": tuple(told["architectures"])})


def bitsandbytes_facts(*, timeout_s: float, environment: Mapping[str, str] | None = None) -> BitsandbytesFacts:
    """What bitsandbytes says of itself, or why it can't."""
    try:
        return BitsandbytesFacts(
            **ask("engine/environment.py", "bitsandbytes", timeout_s=timeout_s, environment=environment)
        )
    except NoAnswer as error:
        return BitsandbytesFacts(broken=str(error))
