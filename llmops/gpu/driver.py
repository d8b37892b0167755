"""What NVML knows besides samples: versions, what a card is, who uses it, how cards reach each other."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterator, Sequence
from typing import Any

import pynvml

from llmops.gpu.asking import Questions, no_driver
from llmops.gpu.identity import identify, memory_of, text
from llmops.gpu.links import link_states
from llmops.gpu.parts import Parts

_TRANSFERS_A_CLOCK = 2
_BITS_A_BYTE = 8
_MHZ = 1_000_000
_LANE_BYTES_PER_S = {1: 0.25e9, 2: 0.5e9, 3: 1e9, 4: 2e9, 5: 4e9, 6: 8e9}
"""Of one PCIe lane in one direction, by generation (PCI-SIG)."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Versions:
    """Of what is installed. `cuda`: the newest that this driver runs, not the one that torch was built with."""

    driver: str
    cuda: tuple[int, int] | None
    nvml: str | None


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Process:
    """One that holds memory of a card. The memory is None where the driver does not tell, as on WSL."""

    pid: int
    name: str | None
    used_bytes: int | None


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class CardFacts:
    """What does not change while a driver is loaded, and memory and load now; None where the card does not tell."""

    id: str
    name: str
    memory_total_bytes: int | None
    memory_used_bytes: int | None
    memory_bandwidth_bytes_per_s: float | None
    pcie_bytes_per_s: float | None
    """What its slot and the card could exchange at most, in one direction."""
    utilization: float | None
    compute_capability: tuple[int, int] | None
    links: dict[int, bool]
    """Of each NVLink, whether it is up."""
    parts: tuple[str, ...]
    """Ids of its MIG parts."""
    processes: tuple[Process, ...]


@contextlib.contextmanager
def driver() -> Iterator[Sequence[Any]]:
    """NVML while the block lasts, as one handle for each card that answers. Raises SamplerUnavailable where there is
    none, or where it goes away meanwhile."""
    try:
        pynvml.nvmlInit()
        try:
            yield [handle for index in range(pynvml.nvmlDeviceGetCount()) if (handle := _handle(index)) is not None]
        finally:
            with contextlib.suppress(pynvml.NVMLError):
                pynvml.nvmlShutdown()
    except pynvml.NVMLError as error:
        raise no_driver(error) from None


def versions() -> Versions:
    """Inside of `driver`."""
    ask = Questions().ask
    cuda = ask("cuda", pynvml.nvmlSystemGetCudaDriverVersion_v2, pynvml.nvmlSystemGetCudaDriverVersion)
    nvml = ask("nvml", pynvml.nvmlSystemGetNVMLVersion)
    return Versions(
        driver=text(pynvml.nvmlSystemGetDriverVersion()),
        cuda=None if cuda is None else (cuda // 1000, cuda % 1000 // 10),
        nvml=None if nvml is None else text(nvml),
    )


def facts(handle: Any) -> CardFacts:
    """Of one card. Inside of `driver`."""
    questions = Questions()
    used, total = memory_of(handle, questions)
    rates = questions.ask("utilization", lambda: pynvml.nvmlDeviceGetUtilizationRates(handle))
    identity = identify(handle, "")
    return CardFacts(
        id=identity.id,
        name=identity.name,
        memory_total_bytes=total,
        memory_used_bytes=used,
        memory_bandwidth_bytes_per_s=bandwidth_of(handle),
        pcie_bytes_per_s=_pcie_of(handle),
        utilization=None if rates is None else rates.gpu / 100,
        compute_capability=questions.ask("capability", lambda: pynvml.nvmlDeviceGetCudaComputeCapability(handle)),
        links=link_states(handle, questions),
        parts=tuple(part.id for _, part in Parts(handle, "", questions).found()),
        processes=processes(handle),
    )


def memory_bandwidth_bytes_per_s(bus_width_bits: int, max_memory_clock_hz: float) -> float:
    """What the memory could deliver at most: two transfers a clock, as NVML counts clocks of GDDR and HBM alike."""
    return bus_width_bits * max_memory_clock_hz * _TRANSFERS_A_CLOCK / _BITS_A_BYTE


def bandwidth_of(handle: Any) -> float | None:
    """Of a card; None where it tells neither its bus nor its clock. Inside of `driver`."""
    ask = Questions().ask
    bits = ask("bus", lambda: int(pynvml.nvmlDeviceGetMemoryBusWidth(handle)))
    clock_mhz = ask("clock", lambda: int(pynvml.nvmlDeviceGetMaxClockInfo(handle, pynvml.NVML_CLOCK_MEM)))
    return memory_bandwidth_bytes_per_s(bits, clock_mhz * _MHZ) if bits and clock_mhz else None


def _pcie_of(handle: Any) -> float | None:
    ask = Questions().ask
    lanes = ask("lanes", lambda: int(pynvml.nvmlDeviceGetMaxPcieLinkWidth(handle)))
    generation = ask("generation", lambda: int(pynvml.nvmlDeviceGetMaxPcieLinkGeneration(handle)))
    lane = _LANE_BYTES_PER_S.get(generation or 0)
    return lanes * lane if lanes and lane else None


def processes(handle: Any) -> tuple[Process, ...]:
    """Those that compute on a card or draw with it, most memory first. Inside of `driver`."""
    ask = Questions().ask
    computing = ask("computing", lambda: pynvml.nvmlDeviceGetComputeRunningProcesses(handle)) or []
    drawing = ask("drawing", lambda: pynvml.nvmlDeviceGetGraphicsRunningProcesses(handle)) or []
    memory = {int(each.pid): each.usedGpuMemory for each in [*drawing, *computing]}
    found = [
        Process(pid=pid, name=_name_of(pid), used_bytes=None if used is None else int(used))
        for pid, used in memory.items()
    ]
    return tuple(sorted(found, key=lambda each: (-(each.used_bytes or 0), each.pid)))


def reaches(first: Any, second: Any) -> bool | None:
    """Whether a card reads the other's memory without the processor between; None: not known. Inside of `driver`."""
    status = Questions().ask("peer", lambda: int(pynvml.nvmlDeviceGetP2PStatus(first, second, _READ)))
    return None if status is None else status == pynvml.NVML_P2P_STATUS_OK


_READ = 0
"""NVML_P2P_CAPS_INDEX_READ: in the binding it is a tuple by a stray comma."""


def _handle(index: int) -> Any | None:
    try:
        return pynvml.nvmlDeviceGetHandleByIndex(index)
    except pynvml.NVMLError:
        return None


def _name_of(pid: int) -> str | None:
    """None for another user's process, or one of another container."""
    name = Questions().ask("name", lambda: pynvml.nvmlSystemGetProcessName(pid))
    return None if name is None else text(name)
