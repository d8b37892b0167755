"""What every screen has: the status strip above, the keys below, and the same way back."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.screen import Screen

from llmops.tui.keys import Scope, bindings
from llmops.tui.session import Session
from llmops.tui.widgets.keybar import KeyBar
from llmops.tui.widgets.panel import Panel
from llmops.tui.widgets.strip import StatusStrip
from llmops.untrusted import safe_line


class Frame(Screen[None]):
    """Strip, body, key bar. `show()` is called with each look while the screen is visible."""

    BINDINGS = bindings("everywhere", "screens")
    SCOPES: tuple[Scope, ...] = ()

    def __init__(self, session: Session) -> None:
        super().__init__()
        self.session = session

    def compose(self) -> ComposeResult:
        """The body stands between strip and keys."""
        yield StatusStrip(self.session, id="strip")
        yield from self.body()
        yield KeyBar(self.session, *self.SCOPES)

    def body(self) -> ComposeResult:
        """Widgets of this screen."""
        yield from ()

    def show(self) -> None:
        """The session has news."""
        for panel in self.query(Panel):
            if panel.display:
                panel.show()

    def on_screen_resume(self) -> None:
        """Back in sight: catch up."""
        self.show()

    def action_back(self) -> None:
        """One step back; never quits."""
        self.app.switch_mode("overview")

    def action_copy(self) -> None:
        """Copy what the cursor is on."""
        what = self.copyable()
        words = self.session.words
        if what is None:
            self.notify(words("note.nothing_to_copy"), markup=False)
            return
        self.app.copy_to_clipboard(what)
        self.notify(words("note.copied", what=safe_line(what, 60)), markup=False)

    def copyable(self) -> str | None:
        """What `y` copies here."""
        return None
