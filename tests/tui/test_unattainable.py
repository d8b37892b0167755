"""An objective that no server of this speed meets, on the screen."""

from __future__ import annotations

import dataclasses
from typing import Literal

import pytest

from llmops.alerts.evaluate import unattainable_sentence
from llmops.events.speed import StreamSpeed
from llmops.overview.objectives import objectives_of
from llmops.settings import ObjectiveSettings
from llmops.slo import Length, unattainable
from tests.tui.worlds import CHIP, app_over, settle, text_of, world


@pytest.mark.parametrize(
    ("width", "language", "words"),
    [
        (140, "en", ("≠ latency not attainable here", "answers take longer than 3 s", "set latency_threshold_s = 28")),
        (80, "en", ("≠ lat --", "latency not attainable here", "set latency_threshold_s = 28")),
        (140, "zh", ("本机无法达到", "个回答中有 60 个", "latency_threshold_s = 28")),
    ],
)
async def test_an_objective_that_cannot_be_met_here_is_shown_with_what_to_set(
    width: int, language: Literal["en", "zh"], words: tuple[str, ...]
) -> None:
    objective = objectives_of(ObjectiveSettings())[1]
    found = unattainable(objective, StreamSpeed(14.0, 200.0), [Length(0, 194)] * 60)
    assert found is not None
    chip = dataclasses.replace(
        CHIP, name="latency", state="unattainable", unattainable=unattainable_sentence(objective, found)
    )
    app = app_over(world(slo=(CHIP, chip)), language=language)
    async with app.run_test(size=(width, 40)) as pilot:
        await settle(pilot)
        text = text_of(app)
        for each in words:
            assert each in text, text
