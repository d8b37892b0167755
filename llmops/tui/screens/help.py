"""Help and alerts: what the keys do here, and what is wrong in full."""

from __future__ import annotations

from collections.abc import Sequence

from textual.content import Content

from llmops.tui.commands import COMMANDS
from llmops.tui.keys import KEYMAP, Scope, told
from llmops.tui.language import Words
from llmops.tui.numbers import fixed
from llmops.tui.screens.dialog import Dialog
from llmops.tui.widgets.alerts import alert_content
from llmops.untrusted import safe_line

_SECTIONS: tuple[tuple[str, tuple[Scope, ...]], ...] = (
    ("help.everywhere", ("everywhere", "screens")),
    ("help.overview", ("overview",)),
    ("help.list", ("list",)),
    ("help.chat", ("prompt", "chat")),
)


def command_lines(words: Words) -> list[Content]:
    """Each command of the chat and what it does."""
    return [Content.assemble((f"  /{name:<13}", "bold $accent"), words(f"command.{name}")) for name in COMMANDS]


class HelpDialog(Dialog):
    """Key ?."""

    def heading(self) -> str:
        """Keys."""
        return self.session.words("help.title")

    def lines(self) -> Sequence[Content]:
        """The keymap, as the settings have it."""
        words = self.session.words
        lines: list[Content] = []
        for title, scopes in _SECTIONS:
            lines.append(Content.styled(words(title), "bold"))
            lines += [
                Content.assemble((f"  {told(key, self.session.keys):<10}", "bold $accent"), words(f"key.{key.action}"))
                for key in KEYMAP
                if key.scope in scopes
            ]
            lines.append(Content(""))
        lines.append(Content.styled(words("help.commands"), "bold"))
        lines += [*command_lines(words), Content("")]
        return [*lines, Content.styled(words("help.hint"), "$foreground 60%")]


class AlertsDialog(Dialog):
    """Key A."""

    def heading(self) -> str:
        """Alerts."""
        return self.session.words("alerts.title")

    def lines(self) -> Sequence[Content]:
        """Each active alert with its numbers and the requests that show it."""
        overview, words = self.session.overview, self.session.words
        if overview is None or not overview.alerts:
            return [Content(words("alerts.none"))]
        lines: list[Content] = []
        for alert in overview.alerts:
            numbers = f"{fixed(alert.value, 10, 4).strip()} / {fixed(alert.threshold, 10, 4).strip()}"
            lines.append(alert_content(alert, overview.at, words))
            lines.append(Content.styled(f"          {numbers}", "$foreground 60%"))
            if alert.exemplars:
                lines.append(Content.styled(f"          {words('alerts.exemplars')}", "$foreground 60%"))
            lines += [Content(f"          {safe_line(request_id)}") for request_id in alert.exemplars]
            lines.append(Content(""))
        return lines[:-1]
