"""The bar at the bottom: which keys do what here."""

from __future__ import annotations

from collections.abc import Iterable

from textual.content import Content

from llmops.tui.keys import KEYMAP, Scope, told
from llmops.tui.session import Session
from llmops.tui.widgets.panel import Panel


class KeyBar(Panel):
    """Keys of the given scopes, in the order of the keymap, as many as fit."""

    def __init__(self, session: Session, *scopes: Scope) -> None:
        super().__init__(session)
        self._scopes = scopes

    def point_at(self, *scopes: Scope) -> None:
        """The focus moved: other keys work now."""
        if scopes != self._scopes:
            self._scopes = scopes
            self.refresh()

    def lines(self) -> Iterable[Content]:
        """One line."""
        line = Content(" ")
        for scope in self._scopes:
            for key in KEYMAP:
                if key.scope == scope and key.shown:
                    part = Content.assemble(
                        (told(key, self.session.keys), "bold $accent"),
                        (f" {self.session.words(f'key.{key.action}')}  ", "$foreground 70%"),
                    )
                    if line.cell_length + part.cell_length <= self.size.width:
                        line = line + part
        return (line,)
