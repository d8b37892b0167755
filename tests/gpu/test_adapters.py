"""Which graphics cards a machine has, from a copy of the kernel's folder of them."""

from __future__ import annotations

from pathlib import Path

from llmops.gpu.adapters import adapters, why_no_gpu

_IDS = """# a list
1002  Advanced Micro Devices, Inc. [AMD/ATI]
\t744c  Navi 31 [Radeon RX 7900 XTX]
\t\t1002 0e3b  a board
10de  NVIDIA Corporation
\t2786  AD104 [GeForce RTX 4070]
8086  Intel Corporation
\t2786  not a card of NVIDIA
"""


class Bus:
    """The kernel's folder, and a list of names."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "devices"
        self.folder.mkdir()
        self.names = folder / "pci.ids"
        self.names.write_text(_IDS)

    def plug(self, place: str, vendor: str, device: str, *, kind: str = "0x030000", driver: str | None = None) -> Path:
        """One more device."""
        folder = self.folder / place
        folder.mkdir()
        for name, value in (("vendor", vendor), ("device", device)):
            (folder / name).write_text(f"0x{value}\n")
        (folder / "class").write_text(f"{kind}\n")
        if driver is not None:
            (self.folder.parent / driver).mkdir(exist_ok=True)
            (folder / "driver").symlink_to(self.folder.parent / driver)
        return folder

    def sentence(self) -> str:
        """For people."""
        return why_no_gpu(adapters(self.folder, [self.folder / "missing", self.names]))


def test_an_nvidia_card_without_its_driver_is_told_before_others(tmp_path: Path) -> None:
    bus = Bus(tmp_path)
    bus.plug("0000:00:02.0", "8086", "a780", driver="i915")
    bus.plug("0000:01:00.0", "10de", "2786")
    bus.plug("0000:01:00.1", "10de", "22bc", kind="0x040300", driver="snd_hda_intel")
    assert bus.sentence() == (
        "NVIDIA AD104 [GeForce RTX 4070] is here without a driver: install NVIDIA's and restart; "
        "Intel a780 is graphics inside the processor: models run on the processor, and that is sampled"
    )


def test_a_card_with_a_driver_that_can_not_compute(tmp_path: Path) -> None:
    bus = Bus(tmp_path)
    bus.plug("0000:01:00.0", "10de", "2786", driver="nouveau")
    assert "runs with nouveau, which cannot compute" in bus.sentence()


def test_a_card_that_belongs_to_a_virtual_machine(tmp_path: Path) -> None:
    bus = Bus(tmp_path)
    bus.plug("0000:01:00.0", "10de", "2786", driver="vfio-pci")
    assert bus.sentence().endswith("is set aside for a virtual machine")


def test_a_card_whose_driver_does_not_answer(tmp_path: Path) -> None:
    bus = Bus(tmp_path)
    bus.plug("0000:01:00.0", "10de", "ffff", kind="0x030200", driver="nvidia")
    assert bus.sentence() == "NVIDIA ffff has a driver that does not answer: see what `nvidia-smi` says"


def test_amd_cards_are_told_from_amd_processors(tmp_path: Path) -> None:
    bus = Bus(tmp_path)
    (bus.plug("0000:03:00.0", "1002", "744c", driver="amdgpu") / "gpu_metrics").write_bytes(bytes([0x98, 0, 1, 3]))
    (bus.plug("0000:0b:00.0", "1002", "164e", driver="amdgpu") / "gpu_metrics").write_bytes(bytes([0x98, 0, 2, 4]))
    card, processor = adapters(bus.folder, [bus.names])
    assert (card.name, card.is_integrated) == ("AMD Navi 31 [Radeon RX 7900 XTX]", False)
    assert (processor.name, processor.is_integrated) == ("AMD 164e", True)
    assert card.sentence.endswith("a torch built for ROCm may run models on it, but it is not sampled")


def test_an_intel_card_is_no_processor(tmp_path: Path) -> None:
    bus = Bus(tmp_path)
    bus.plug("0000:03:00.0", "8086", "56a0", driver="xe")
    assert bus.sentence() == "Intel 56a0 is an Intel card: llmops neither runs models on it nor samples it"


def test_what_only_shows_a_console_is_no_graphics_card(tmp_path: Path) -> None:
    bus = Bus(tmp_path)
    bus.plug("0000:00:01.0", "1234", "1111")
    bus.plug("0000:00:03.0", "8086", "100e", kind="0x020000")
    assert bus.sentence() == "no graphics card was found"


def test_a_machine_that_does_not_tell_has_none(tmp_path: Path) -> None:
    assert adapters(tmp_path / "missing") == ()


def test_devices_that_can_not_be_read_are_left_out(tmp_path: Path) -> None:
    bus = Bus(tmp_path)
    (bus.folder / "0000:00:00.0").mkdir()
    assert adapters(bus.folder, []) == ()
