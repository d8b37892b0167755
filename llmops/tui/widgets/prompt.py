"""Where the user writes: Enter sends, Ctrl-J starts a new line."""

from __future__ import annotations

from textual.message import Message
from textual.widgets import TextArea

from llmops.tui.keys import bindings


class Prompt(TextArea):
    """Grows with its text up to a few lines."""

    BINDINGS = bindings("prompt")

    class Sent(Message):
        """The user wants this said."""

        def __init__(self, text: str) -> None:
            super().__init__()
            self.text = text

    def action_send(self) -> None:
        """Hand the text over; the screen clears it when it is taken."""
        if self.text.strip():
            self.post_message(self.Sent(self.text.strip()))

    def action_newline(self) -> None:
        """Insert a line break."""
        self.replace("\n", *self.selection, maintain_selection_offset=False)
