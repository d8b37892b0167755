from __future__ import annotations

from llmops.events.snapshot import DeviceSnapshot
from llmops.shell.devices import device_rows

_CARD = DeviceSnapshot(
    id="GPU-0",
    name="NVIDIA Test 12GB",
    type="gpu",
    utilization=0.5,
    memory_used_bytes=3 << 30,
    memory_limit_bytes=12 << 30,
    power_w=150.0,
    temperature_c=61.0,
)


def test_a_card_is_told_with_its_numbers_and_one_that_tells_nothing_without() -> None:
    mute = DeviceSnapshot(id="GPU-1", name="Mute", type="gpu")
    assert list(device_rows([_CARD, mute])) == [
        ("gpu", "NVIDIA Test 12GB: 50 % busy, 3.0 of 12.0 GiB, 150 W, 61 °C"),
        ("gpu", "Mute: tells nothing"),
    ]


def test_a_machine_without_a_card_is_told_how_to_see_one() -> None:
    machine = DeviceSnapshot(id="cpu-box", name="2 CPU cores", type="cpu", memory_used_bytes=1, memory_limit_bytes=2)
    told = dict(device_rows([machine]))
    assert told["cpu"].startswith("2 CPU cores: 0.0 of 0.0 GiB")
    assert "--gpu pretend" in told["gpu"]


def test_no_sample_at_all_is_told_with_its_likely_reasons() -> None:
    assert "nvidia-smi" in dict(device_rows([]))["gpu"]
