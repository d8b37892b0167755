"""The app: takes what the feed posts, keeps it in the session, and shows it on the screen in sight."""

from __future__ import annotations

import re
import time
from collections.abc import Iterable
from typing import Any

from textual.app import App, SystemCommand
from textual.screen import Screen

from llmops.tui.feed import Feed, FeedThread
from llmops.tui.keys import KEYMAP
from llmops.tui.messages import FeedFailed, FoundRequest, Looked
from llmops.tui.screens.chat import ChatScreen
from llmops.tui.screens.detail import RequestDetail
from llmops.tui.screens.frame import Frame
from llmops.tui.screens.help import AlertsDialog, HelpDialog
from llmops.tui.screens.overview import OverviewScreen
from llmops.tui.session import Session
from llmops.tui.theme import THEMES, known_theme, next_theme
from llmops.untrusted import safe_line

_PACES_S = (0.25, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0)
_SCREENS = ("overview", "chat")
_IN_PALETTE = ("overview", "chat", "help", "alerts", "pause", "theme", "quit")


_FROM_ELSEWHERE = re.compile(r',\s*url\("https?:[^"]*"\) format\("\w+"\)')


class LlmopsApp(App[int]):
    """One feed thread, two screens, dialogs over them."""

    CSS_PATH = "style.tcss"
    TITLE = "llmops"
    ENABLE_COMMAND_PALETTE = True

    def __init__(self, session: Session, feed: Feed, theme: str) -> None:
        super().__init__()
        self.session = session
        self._feed = FeedThread(feed, self.post_message, session.refresh_s)
        self._spent = (time.monotonic(), time.process_time())
        for each in THEMES:
            self.register_theme(each)
        self.theme = known_theme(theme)
        self.add_mode("overview", lambda: OverviewScreen(session))
        self.add_mode("chat", lambda: ChatScreen(session))
        self.set_keymap(dict(session.keys))

    def export_screenshot(self, *, title: str | None = None, simplify: bool = False) -> str:
        """The screen as an SVG that loads nothing: where the font is not installed, another of fixed width is used."""
        return _FROM_ELSEWHERE.sub("", super().export_screenshot(title=title, simplify=simplify))

    async def on_mount(self) -> None:
        """Begin to look."""
        await self.switch_mode("overview")
        self._feed.start()
        self.set_interval(2.0, self._watch_silence)

    def on_unmount(self) -> None:
        """Stop looking."""
        self._feed.close()

    def on_looked(self, message: Looked) -> None:
        """Collect always, show unless paused."""
        session = self.session
        session.history.add(message.overview)
        session.seen_at, session.look_s, session.feed_error = time.monotonic(), message.look_s, None
        wall, cpu = time.monotonic(), time.process_time()
        session.cpu_share = (cpu - self._spent[1]) / max(1e-3, wall - self._spent[0])
        self._spent = (wall, cpu)
        if not session.paused:
            session.overview = message.overview
            self._show()

    def on_feed_failed(self, message: FeedFailed) -> None:
        """Say so where the status stands; the feed goes on trying."""
        self.session.feed_error = self.session.words("note.feed", reason=safe_line(message.reason, 80))
        self._show()

    def on_found_request(self, message: FoundRequest) -> None:
        """For the dialog that asked, if it is still open."""
        if isinstance(self.screen, RequestDetail):
            self.screen.found(message)

    def ask(self, request_id: str) -> None:
        """The record will answer with a FoundRequest."""
        self._feed.ask(request_id)

    def _show(self) -> None:
        """Only the screen in sight is redrawn; a dialog over it hides it."""
        if isinstance(self.screen, Frame):
            self.screen.show()

    def _watch_silence(self) -> None:
        """A feed that hangs posts nothing: the strip must notice by itself."""
        seen_at = self.session.seen_at
        if seen_at is not None and time.monotonic() - seen_at > 3 * self.session.refresh_s and not self.session.paused:
            self._show()

    def get_system_commands(self, screen: Screen[Any]) -> Iterable[SystemCommand]:
        """The palette offers our actions, in the user's language."""
        for key in KEYMAP:
            if key.action in _IN_PALETTE and key.scope == "everywhere":
                title = self.session.words(f"key.{key.action}")
                yield SystemCommand(title, title, lambda call=key.call: self.call_later(self.run_action, call))

    async def action_show(self, name: str) -> None:
        """Switch to a screen."""
        await self.switch_mode(name)

    async def action_next_screen(self) -> None:
        """Switch to the next screen."""
        await self.switch_mode(_SCREENS[(_SCREENS.index(self.current_mode) + 1) % len(_SCREENS)])

    def action_help(self) -> None:
        """All keys."""
        self.push_screen(HelpDialog(self.session))

    def action_alerts(self) -> None:
        """All active alerts in full."""
        self.push_screen(AlertsDialog(self.session))

    def action_pause(self) -> None:
        """Hold the view; collection goes on."""
        self.session.paused = not self.session.paused
        if not self.session.paused:
            self._feed.hurry()
        self._show()

    def action_faster(self) -> None:
        """Look more often."""
        self._pace(-1)

    def action_slower(self) -> None:
        """Look less often."""
        self._pace(1)

    def _pace(self, step: int) -> None:
        nearest = min(range(len(_PACES_S)), key=lambda index: abs(_PACES_S[index] - self.session.refresh_s))
        refresh_s = _PACES_S[min(len(_PACES_S) - 1, max(0, nearest + step))]
        self.session.refresh_s = self._feed.refresh_s = refresh_s
        self._feed.hurry()
        self.notify(self.session.words("note.refresh", seconds=refresh_s), markup=False, timeout=2)

    def action_next_theme(self) -> None:
        """The next theme."""
        self.theme = next_theme(self.theme)
        self.notify(self.session.words("note.theme", name=self.theme), markup=False, timeout=2)
