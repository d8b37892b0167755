"""What cards can hold and read, as a scripted driver tells it; a real one, where there is one, is asked elsewhere."""

from __future__ import annotations

import sys

import pynvml
import pytest

from llmops.gpu.capacity import read_box
from tests.gpu.driver import Driver

GIB = 1 << 30


def test_bandwidth_comes_from_bus_and_clock_and_the_box_is_as_good_as_its_fullest_card(driver: Driver) -> None:
    driver.add()
    driver[driver.add(), "memory.used"] = 5 * GIB
    box = read_box()
    assert box is not None
    assert not box.is_simulated
    assert (box.card.name, box.count) == ("NVIDIA Test 1 12GB", 2)
    assert (box.card.memory_bytes, box.card.free_bytes) == (12 * GIB, 7 * GIB)
    assert box.card.bandwidth == pytest.approx(504e9, rel=1e-3)
    assert box.card.link == pytest.approx(24e9)


def test_what_a_card_does_not_tell_is_0_or_usual(driver: Driver) -> None:
    driver.add()
    for what in ("bus", "pcie.lanes", "pcie.generation"):
        del driver[0, what]
    box = read_box()
    assert box is not None
    assert box.card.bandwidth == 0.0
    assert box.card.link == pytest.approx(12e9)


def test_a_card_that_does_not_tell_its_memory_is_no_box(driver: Driver) -> None:
    driver.add()
    del driver[0, "memory.total"]
    assert read_box() is None


@pytest.mark.parametrize("call", ["nvmlInitWithFlags", "nvmlDeviceGetCount_v2", "nvmlDeviceGetMemoryInfo"])
def test_a_driver_that_goes_away_is_no_box(driver: Driver, call: str) -> None:
    driver.add()
    driver[f"fail.{call}"] = pynvml.NVML_ERROR_DRIVER_NOT_LOADED
    assert read_box() is None


def test_a_driver_without_cards_is_no_box(driver: Driver) -> None:
    assert read_box() is None


def test_where_the_library_is_not_there_the_binding_is_not_even_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = list[str]()

    def missing(name: str) -> None:
        asked.append(name)
        raise OSError(f"{name}: cannot open shared object file")

    monkeypatch.setattr("ctypes.CDLL", missing)
    monkeypatch.delitem(sys.modules, "llmops.gpu.driver", raising=False)
    assert read_box() is None
    assert asked == ["libnvidia-ml.so.1"]
    assert "llmops.gpu.driver" not in sys.modules
