"""A panel: a titled piece of the screen that draws itself from what it was last given."""

from __future__ import annotations

from collections.abc import Iterable

from textual.content import Content
from textual.widget import Widget

from llmops.tui.session import Session


class Panel(Widget):
    """Draws `lines()`; `show()` repaints without a new layout, which is what makes a tick cheap."""

    def __init__(self, session: Session, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.session = session

    def lines(self) -> Iterable[Content]:
        """The content, one per row."""
        return ()

    def render(self) -> Content:
        """All lines, cut at the panel's height."""
        return Content("\n").join(list(self.lines())[: max(1, self.size.height)])

    def heading(self) -> str:
        """In the line above the panel; empty for none."""
        return ""

    def show(self) -> None:
        """The session has news."""
        heading = self.heading()
        if heading:
            self.border_title = Content(heading)
        self.refresh()
