from __future__ import annotations

import pytest

from llmops.events.snapshot import DeviceSnapshot
from tests.tui.worlds import app_over, settle, text_of, world


@pytest.mark.parametrize("size", [(120, 30), (80, 24)])
async def test_a_machine_without_a_gpu_says_how_to_see_one(size: tuple[int, int]) -> None:
    machine = DeviceSnapshot(id="cpu-box", name="2 CPU cores", type="cpu", memory_used_bytes=1, memory_limit_bytes=4)
    app = app_over(world(devices=(machine,)))
    async with app.run_test(size=size) as pilot:
        await settle(pilot)
        assert "No GPU (see up --gpu pretend)" in text_of(app)


async def test_a_machine_with_a_gpu_says_nothing_of_it() -> None:
    app = app_over(world())
    async with app.run_test(size=(120, 30)) as pilot:
        await settle(pilot)
        assert "No GPU" not in text_of(app)
