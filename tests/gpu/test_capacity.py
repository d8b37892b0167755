"""What cards can hold and read, as a scripted driver tells it; a real one, where there is one, is asked elsewhere."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pynvml
import pytest

from llmops.gpu.capacity import read_box
from tests.gpu.scripted_card import script_cards


def test_bandwidth_comes_from_bus_and_clock_and_the_box_is_as_good_as_its_fullest_card(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    script_cards(monkeypatch, count=2)
    box = read_box()
    assert box is not None
    assert not box.is_simulated
    assert (box.card.name, box.count) == ("NVIDIA GeForce RTX 4090", 2)
    assert box.card.free_bytes == 19 << 30
    assert box.card.bandwidth == pytest.approx(1008e9, rel=1e-3)
    assert box.card.link == pytest.approx(24e9)


def test_what_a_card_does_not_tell_is_0_or_usual(monkeypatch: pytest.MonkeyPatch) -> None:
    script_cards(monkeypatch, hidden=("MemoryBusWidth", "MaxPcieLinkWidth", "MaxPcieLinkGeneration"))
    box = read_box()
    assert box is not None
    assert box.card.bandwidth == 0.0
    assert box.card.link == pytest.approx(12e9)


def _fails(*_: Any) -> Any:
    raise pynvml.NVMLError(pynvml.NVML_ERROR_DRIVER_NOT_LOADED)


@pytest.mark.parametrize("call", ["nvmlInit", "nvmlDeviceGetCount", "nvmlDeviceGetMemoryInfo"])
def test_a_driver_that_does_not_answer_is_no_box(monkeypatch: pytest.MonkeyPatch, call: str) -> None:
    script_cards(monkeypatch)
    monkeypatch.setattr(pynvml, call, _fails)
    assert read_box() is None


def test_a_driver_without_cards_is_no_box(monkeypatch: pytest.MonkeyPatch) -> None:
    script_cards(monkeypatch, count=0)
    assert read_box() is None


def test_a_name_may_come_as_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    script_cards(monkeypatch)
    monkeypatch.setattr(pynvml, "nvmlDeviceGetName", lambda _: b"NVIDIA L4")
    monkeypatch.setattr(pynvml, "nvmlDeviceGetMemoryInfo", lambda _: SimpleNamespace(total=23 << 30, free=22 << 30))
    box = read_box()
    assert box is not None
    assert box.card.name == "NVIDIA L4"
