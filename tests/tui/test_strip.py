"""The second line of the status strip: objectives of any number, in one line of any width."""

from __future__ import annotations

import dataclasses

import pytest

from llmops.slo import SloState
from tests.tui.worlds import ALERT, CHIP, app_over, settle, text_of, world


@pytest.mark.parametrize(
    ("width", "states", "chips"),
    [
        (80, ("ok", "ok", "ok"), " ✓ avail 99.98%  ✓ lat  ✓ ttft  queue"),
        (80, ("ok", "at_risk", "breached"), " ✓ avail  ! lat  ✗ ttft 99.98%  queue"),
        (80, ("ok", "ok", "no_data"), " ✓ avail  ✓ lat  · ttft --  queue"),
        (60, ("ok", "at_risk", "breached"), " ✗ ttft  +2  queue"),
        (120, ("ok", "ok", "breached"), " ✓ avail 99.98% 3 of 14  ✓ lat 99.98%  ✗ first token 99.98% 3 of 14  queue"),
        (
            160,
            ("ok", "ok", "ok"),
            " ✓ availability 99.98% 3 of 14  ✓ latency 99.98% 3 of 14  ✓ first token 99.98% 3 of 14  queue",
        ),
    ],
)
async def test_where_not_all_is_said_of_the_objectives_the_worst_say_most(
    width: int, states: tuple[SloState, ...], chips: str
) -> None:
    names = ("availability", "latency", "ttft")
    slo = tuple(dataclasses.replace(CHIP, name=name, state=state) for name, state in zip(names, states, strict=True))
    app = app_over(world(slo=slo, alerts=(ALERT,)))
    async with app.run_test(size=(width, 24)) as pilot:
        await settle(pilot)
        line = text_of(app).splitlines()[1]
        assert "alerts 1" in line
        assert line.startswith(chips)


async def test_objectives_that_cannot_be_read_are_told_in_their_place() -> None:
    app = app_over(world(slo=(), objectives_error="objectives.toml cannot be used: \x1b[31m bad", alerts=(ALERT,)))
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        line = text_of(app).splitlines()[1]
        assert "objectives.toml can" in line
        assert "alerts 1" in line
