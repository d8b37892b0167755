"""Where the user writes: Enter sends, Ctrl-J starts a new line."""

from __future__ import annotations

from textual import events
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

    async def _on_key(self, event: events.Key) -> None:
        """Keys in the order they were typed: by the usual way through the app, Enter would overtake the letters."""
        own = {"send": self.action_send, "newline": self.action_newline}
        actions = [
            own[bound.action] for bound in self._bindings.key_to_bindings.get(event.key, ()) if bound.action in own
        ]
        if actions:
            event.stop()
            event.prevent_default()
            actions[0]()
        else:
            await super()._on_key(event)

    def action_send(self) -> None:
        """Hand the text over; a screen that can't take it now gives it back."""
        text = self.text.strip()
        if text:
            self.clear()
            self.post_message(self.Sent(text))

    def give_back(self, text: str) -> None:
        """What was not taken stands before whatever was written since."""
        self.insert(f"{text}\n" if self.text else text, (0, 0))
        self.move_cursor(self.document.end)

    def action_newline(self) -> None:
        """Insert a line break."""
        self.replace("\n", *self.selection, maintain_selection_offset=False)
