"""Starts the terminal: over the store and a serve, or over any feed; in a terminal, or as a picture."""

from __future__ import annotations

import asyncio
import sys
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Literal, cast

from llmops.client import ServeClient, login_name
from llmops.settings import Settings, TuiSettings
from llmops.tui.feed import Feed, LiveFeed
from llmops.tui.keys import UnknownAction, checked
from llmops.tui.language import Words, choose, system_locale
from llmops.tui.session import Connect, Session, Talker
from llmops.tui.terminal import LlmopsApp


def assemble(session_url: str, store_path: Path, tui: TuiSettings, feed: Feed, connect: Connect) -> LlmopsApp:
    """The app over any feed and any way to talk."""
    words = Words(choose(tui.language, system_locale()))
    session = Session(
        url=session_url,
        store_path=store_path,
        words=words,
        keys=checked(tui.keys),
        connect=connect,
        refresh_s=tui.refresh_s,
    )
    return LlmopsApp(session, feed, tui.theme)


def run(*, url: str, store_path: Path, settings: Settings) -> int:
    """Show the terminal until the user leaves; the exit status of the command."""
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        sys.stderr.write("llmops tui needs a terminal; in a script:  llmops status --json\n")
        return 2
    try:
        app = terminal(url=url, store_path=store_path, settings=settings)
    except UnknownAction as error:
        sys.stderr.write(f"{error}\n")
        return 2
    app.run()
    return app.return_code or 0


def terminal(*, url: str, store_path: Path, settings: Settings) -> LlmopsApp:
    """The app over the store on disk and the serve at `url`."""

    def connect() -> AbstractAsyncContextManager[Talker]:
        return cast(
            "AbstractAsyncContextManager[Talker]", ServeClient(url, api_key=settings.watch.key, user=login_name("tui"))
        )

    feed = LiveFeed(url, store_path, settings.objectives, settings.watch.key)
    return assemble(url, store_path, settings.tui, feed, connect)


def screenshot(
    app: LlmopsApp,
    path: Path,
    size: tuple[int, int] = (120, 30),
    screen: Literal["overview", "chat"] = "overview",
    settle_s: float = 1.5,
) -> None:
    """Run without a terminal until there is something to see, and write an SVG."""

    async def take() -> str:
        async with app.run_test(size=size) as pilot:
            if screen == "chat":
                await app.switch_mode("chat")
            await pilot.pause(settle_s)
            return app.export_screenshot()

    path.write_text(asyncio.run(take()), encoding="utf-8")
