"""A dialog over a screen: something to read, Esc closes it."""

from __future__ import annotations

from collections.abc import Sequence

from textual.app import ComposeResult
from textual.containers import VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Static

from llmops.tui.keys import bindings
from llmops.tui.session import Session
from llmops.untrusted import safe_line


class Page(VerticalScroll, can_focus=True):
    """Scrolls with the keys of lists."""

    BINDINGS = bindings("list")

    def action_down(self) -> None:
        """A line down."""
        self.scroll_down(animate=False)

    def action_up(self) -> None:
        """A line up."""
        self.scroll_up(animate=False)

    def action_top(self) -> None:
        """To the beginning."""
        self.scroll_home(animate=False)

    def action_bottom(self) -> None:
        """To the end."""
        self.scroll_end(animate=False)

    def action_open(self) -> None:
        """Nothing further to open."""


class Dialog(ModalScreen[None]):
    """Shows `lines()` in a box."""

    BINDINGS = bindings("dialog")
    AUTO_FOCUS = "Page"

    def __init__(self, session: Session) -> None:
        super().__init__()
        self.session = session

    def compose(self) -> ComposeResult:
        """One scrolling page with a title."""
        with Page() as page:
            page.border_title = Content(self.heading())
            yield Static(self._content(), markup=False)

    def heading(self) -> str:
        """The title."""
        raise NotImplementedError

    def lines(self) -> Sequence[Content]:
        """What to read."""
        raise NotImplementedError

    def renew(self) -> None:
        """`lines()` has changed."""
        self.query_one(Static).update(self._content())

    def _content(self) -> Content:
        return Content("\n").join(self.lines())

    def action_close(self) -> None:
        """Back to the screen below."""
        self.dismiss()

    def action_copy(self) -> None:
        """Copy what this dialog is about."""
        what = self.copyable()
        if what is not None:
            self.app.copy_to_clipboard(what)
            self.notify(self.session.words("note.copied", what=safe_line(what, 60)), markup=False)

    def copyable(self) -> str | None:
        """What `y` copies."""
        return None
