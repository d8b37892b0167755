from __future__ import annotations

import asyncio
import logging
from pathlib import Path
from typing import Any

import pytest

from llmops.engine.dials import EngineDials
from llmops.engine.errors import ModelNotLoaded
from llmops.engine.loading import load
from llmops.engine.progress import LOG_EVERY_S, Progress, in_words
from llmops.engine.transformers_engine import TransformersEngine


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_it_says_how_far_it_is_and_logs_seldom(caplog: pytest.LogCaptureFixture) -> None:
    clock = Clock()
    progress = Progress(clock)
    with caplog.at_level(logging.INFO, logger="llmops"):
        progress.begin("Loading", 1_200_000_000, ", 2 files")
        for step in range(1, 11):
            clock.now += LOG_EVERY_S / 5
            progress.at(step * 100_000_000)
    assert progress.sentence == "Loading: 83 %"
    assert [record.message for record in caplog.records] == [
        "Loading: 41 % (500.0 MB of 1.20 GB, 2 files)",
        "Loading: 83 % (1.00 GB of 1.20 GB, 2 files)",
    ]


def test_what_is_abandoned_ends_at_the_next_look() -> None:
    progress = Progress()
    progress.begin("Loading", 10)
    progress.abandon()
    with pytest.raises(ModelNotLoaded, match="stopped"):
        progress.at(5)


def test_nothing_to_do_is_no_division_by_zero() -> None:
    progress = Progress()
    progress.begin("Downloading", 0)
    assert progress.sentence == "Downloading: 0 %"


def test_weights_are_counted_by_their_bytes_and_other_bars_stay_as_they_are() -> None:
    progress = Progress()
    progress.begin("Loading", 100)
    hook = progress.watching({"a": 75, "b": 25})
    seen = []
    for _ in hook(None, ({"a": 0, "b": 0}.items(),), {"desc": "Loading weights"}):
        seen.append(progress.sentence)
    assert seen == ["Loading: 0 %", "Loading: 75 %"]
    assert progress.sentence == "Loading: 100 %"
    assert hook(lambda *args, **kwargs: (args, kwargs), (1,), {"desc": "other"}) == ((1,), {"desc": "other"})


def test_a_real_load_goes_to_its_end(tiny_folder: Path) -> None:
    seen: list[str] = []

    class Told(Progress):
        def at(self, done_bytes: int) -> None:
            super().at(done_bytes)
            seen.append(self.sentence)

    load(str(tiny_folder), EngineDials(device="cpu"), Told())
    assert seen[0] == "Hashing: 0 %"
    assert "Hashing: 100 %" in seen
    assert seen[-1] == "Loading: 100 %"
    assert len([sentence for sentence in seen if sentence.startswith("Loading")]) > 10


async def test_the_engine_says_how_far_loading_is(tiny_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = TransformersEngine(str(tiny_folder), EngineDials(device="cpu"))
    assert engine.health().reason == "The model is not loaded yet."
    seen: list[str] = []
    at = Progress.at

    def look(progress: Progress, done_bytes: int) -> None:
        at(progress, done_bytes)
        seen.append(f"{engine.health().state} {engine.health().reason}")

    monkeypatch.setattr(Progress, "at", look)
    await engine.start()
    await engine.stop()
    assert seen[-1] == "starting Loading: 100 %"


async def test_a_start_that_is_cancelled_does_not_load_on(tiny_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import threading

    ended: list[BaseException] = []
    begun, go_on = threading.Event(), threading.Event()

    def held(*args: Any) -> Any:
        begun.set()
        go_on.wait(10)
        try:
            return load(*args)
        except ModelNotLoaded as error:
            ended.append(error)
            raise

    monkeypatch.setattr("llmops.engine.transformers_engine.load", held)
    starting = asyncio.create_task(TransformersEngine(str(tiny_folder), EngineDials(device="cpu")).start())
    await asyncio.to_thread(begun.wait, 10)
    starting.cancel()
    await asyncio.gather(starting, return_exceptions=True)
    go_on.set()
    while not ended:
        await asyncio.sleep(0.01)
    assert "stopped" in str(ended[0])


def test_sizes_are_in_decimal_units() -> None:
    assert [in_words(size) for size in (0, 7_086_592, 1_020_000_000)] == ["0.0 MB", "7.1 MB", "1.02 GB"]
