"""What serve says of cards: NVIDIA's library stood in for, pretended ones, and a driver that hangs under it."""

from __future__ import annotations

from pathlib import Path

import pytest

from llmops.client import fetch_snapshot
from tests.gpu.driver import Driver
from tests.route.processes import Box, until

pytestmark = pytest.mark.route


def test_cards_come_and_go_under_a_serve_that_goes_on(nvml_library: Path, tmp_path: Path) -> None:
    driver = Driver(nvml_library, tmp_path)
    driver.add()
    driver.add()
    box = Box(tmp_path, gpu__interval_s=0.1)
    box.environment |= driver.environment
    with box.program("serve") as serve:
        box.until_ready()
        until(lambda: [each.id for each in fetch_snapshot(box.url).devices] == ["GPU-0", "GPU-1"], 10)
        assert "NVIDIA Test 0 12GB: 50 % busy, 3.0 of 12.0 GiB, 150 W, 61 °C" in box.call("status").stdout
        driver[0, "gone"] = 15
        until(lambda: [each.id for each in fetch_snapshot(box.url).devices] == ["GPU-1"], 10)
        driver["hang.nvmlDeviceGetTemperature"] = 1
        until(lambda: not fetch_snapshot(box.url).devices, 20)
        assert box.chat().status_code == 200
        assert "nvidia-smi" in box.call("status").stdout
        serve.terminate()
        assert serve.wait(15) == 0
    assert "NVIDIA Test 0 12GB (GPU-0) is away" in box.log("serve")
    assert {each["hw.id"] for each in box.documents("llmops.gpu")} == {"GPU-0", "GPU-1"}


def test_pretended_cards_are_a_flag_away_and_a_wrong_one_is_one_sentence(tmp_path: Path) -> None:
    box = Box(tmp_path, gpu__interval_s=0.1)
    with box.program("serve", "--gpu", "pretend:hot"):
        box.until_ready()
        until(lambda: len(fetch_snapshot(box.url).devices) == 2, 10)
        assert "Pretend GPU 1 24 GB" in box.call("status").stdout
    told = box.call("serve", "--gpu", "pretend:cold")
    assert told.returncode == 2
    assert "gpu.scene on the command line is 'cold': input should be 'calm', 'hot'" in told.stderr


def test_a_machine_without_a_card_is_told_how_to_see_one(tmp_path: Path) -> None:
    box = Box(tmp_path, gpu__kind="system")
    with box.program("serve"):
        box.until_ready()
        until(lambda: fetch_snapshot(box.url).devices, 10)
        assert "none is here; `llmops up --gpu pretend` shows scripted cards" in box.call("status").stdout
