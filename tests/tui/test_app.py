from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from llmops.overview import Overview
from llmops.settings import Settings, TuiSettings
from llmops.store.sqlite import open_store
from llmops.tui.app import run, screenshot, terminal
from llmops.tui.terminal import LlmopsApp
from tests.tui.worlds import app_over, request_document


def test_without_a_terminal_it_says_what_to_use_instead(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(url="http://127.0.0.1:9", store_path=tmp_path / "x.sqlite", settings=Settings()) == 2
    assert "llmops status --json" in capsys.readouterr().err


def test_a_screenshot_needs_no_terminal(tmp_path: Path) -> None:
    for screen, expected in (("overview", "Requests"), ("chat", "haiku")):
        picture = tmp_path / f"{screen}.svg"
        screenshot(app_over(), picture, (100, 28), "chat" if screen == "chat" else "overview", settle_s=0.2)
        drawn = picture.read_text(encoding="utf-8")
        assert expected in drawn
        assert "url(" not in drawn.replace("url(#", "")  # nothing is loaded from elsewhere


def seen(app: LlmopsApp) -> Overview:
    assert app.session.overview is not None
    return app.session.overview


async def test_the_live_feed_waits_for_a_record_that_comes_later(tmp_path: Path) -> None:
    path = tmp_path / "llmops.sqlite"
    settings = Settings(tui=TuiSettings(refresh_s=0.1, language="en"))
    app = terminal(url="http://127.0.0.1:9", store_path=path, settings=settings)
    async with app.run_test(size=(100, 28)) as pilot:
        await pilot.pause(0.3)
        assert seen(app).reason == "nothing_readable"
        store = open_store(path)
        store.record([request_document(seen(app).at - 5, f"r{i}") for i in range(3)])
        for _ in range(100):
            await pilot.pause(0.05)
            if seen(app).requests:
                break
        assert len(seen(app).requests) == 3
        assert seen(app).reason == "serve_unreachable"
        await asyncio.to_thread(store.close)
