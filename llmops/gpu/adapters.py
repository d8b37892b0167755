"""Which graphics cards the PCI bus has, whatever their driver: why there is no GPU to sample, in a sentence."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Literal, TypeAlias

Vendor: TypeAlias = Literal["nvidia", "amd", "intel"]
_VENDORS: dict[str, Vendor] = {"10de": "nvidia", "1002": "amd", "8086": "intel"}
_WORDS: dict[Vendor, str] = {"nvidia": "NVIDIA", "amd": "AMD", "intel": "Intel"}
_DISPLAY_CLASS = "0x03"
_PCI = Path("/sys/bus/pci/devices")
_NAMES = (Path("/usr/share/hwdata/pci.ids"), Path("/usr/share/misc/pci.ids"))
_OF_AN_APU = 2
"""Format of `gpu_metrics` that the kernel's amdgpu writes for a processor with graphics; 1 is a card's."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Adapter:
    """One graphics device. `driver`: the kernel's, None where none is bound to it."""

    vendor: Vendor
    name: str
    is_integrated: bool
    driver: str | None

    @property
    def sentence(self) -> str:
        """What works with it and what does not."""
        if self.vendor == "nvidia":
            return self._of_nvidia()
        if self.is_integrated:
            return f"{self.name} is graphics inside the processor: models run on the processor, and that is sampled"
        if self.vendor == "amd":
            return f"{self.name} is an AMD card: a torch built for ROCm may run models on it, but it is not sampled"
        return f"{self.name} is an Intel card: llmops neither runs models on it nor samples it"

    def _of_nvidia(self) -> str:
        if self.driver == "nouveau":
            return f"{self.name} runs with nouveau, which cannot compute: install NVIDIA's driver and restart"
        if self.driver == "vfio-pci":
            return f"{self.name} is set aside for a virtual machine"
        if self.driver is None:
            return f"{self.name} is here without a driver: install NVIDIA's and restart"
        return f"{self.name} has a driver that does not answer: see what `nvidia-smi` says"


def adapters(pci: Path = _PCI, names: Sequence[Path] = _NAMES) -> tuple[Adapter, ...]:
    """NVIDIA's first. Nothing where the system does not tell: no Linux, or a container that hides it."""
    try:
        places = sorted(pci.iterdir())
    except OSError:
        return ()
    found = [adapter for place in places if (adapter := _adapter(place, names)) is not None]
    return tuple(sorted(found, key=lambda each: (each.vendor != "nvidia", each.is_integrated)))


def why_no_gpu(found: Sequence[Adapter]) -> str:
    """One sentence for people who miss their card."""
    return "; ".join(each.sentence for each in found) or "no graphics card was found"


def _adapter(place: Path, names: Sequence[Path]) -> Adapter | None:
    vendor_id, device_id = _read(place / "vendor")[2:], _read(place / "device")[2:]
    vendor = _VENDORS.get(vendor_id)
    if vendor is None or not _read(place / "class").startswith(_DISPLAY_CLASS):
        return None
    driver = place / "driver"
    return Adapter(
        vendor=vendor,
        name=f"{_WORDS[vendor]} {_name(vendor_id, device_id, names) or device_id}",
        is_integrated=_is_integrated(place, vendor),
        driver=driver.resolve().name if driver.exists() else None,
    )


def _is_integrated(place: Path, vendor: Vendor) -> bool:
    """Intel's sits on the first bus, AMD's has measurements of an APU."""
    if vendor == "intel":
        return place.name.startswith("0000:00:")
    if vendor == "amd":
        try:
            return (place / "gpu_metrics").read_bytes()[2:3] == bytes([_OF_AN_APU])
        except OSError:
            return False
    return False


def _name(vendor_id: str, device_id: str, names: Sequence[Path]) -> str | None:
    """As the system's own list has it; there may be none."""
    for path in names:
        try:
            with path.open(encoding="utf-8", errors="replace") as lines:
                for name in _names_of(vendor_id, device_id, lines):
                    return name
        except OSError:
            continue
    return None


def _names_of(vendor_id: str, device_id: str, lines: Iterable[str]) -> Iterator[str]:
    """Lines of a vendor begin with its id, those of its devices with a tab."""
    is_vendor = False
    for line in lines:
        if line[:1] not in "\t#\n":
            is_vendor = line.startswith(vendor_id)
        elif is_vendor and line.startswith(f"\t{device_id}"):
            yield line[5:].strip()


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii", errors="replace").strip()
    except OSError:
        return ""
