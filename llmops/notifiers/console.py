"""Tells the person at the terminal: one line on stderr, with a bell and a colour only where a person sits."""

from __future__ import annotations

import sys
from typing import TextIO

from llmops.notifiers.errors import DeliveryFailed
from llmops.notifiers.notice import Notice
from llmops.notifiers.notification import Notification

_BELL = "\a"
_PLAIN = "\x1b[0m"
_COLOURS = {"page": "\x1b[1;31m", "ticket": "\x1b[33m", "resolved": "\x1b[32m"}


class Console:
    """Writes to `stream`; the notice itself brings no control character along."""

    name = "console"

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stderr

    def deliver(self, notification: Notification) -> None:
        try:
            for notice in notification.notices:
                self._stream.write(f"{self._line(notice)}\n")
            self._stream.flush()
        except (OSError, ValueError) as error:
            raise DeliveryFailed(f"the terminal did not take it ({error})", is_final=True) from error

    def _line(self, notice: Notice) -> str:
        if not self._stream.isatty():
            return notice.line
        is_over = notice.action == "resolved"
        colour = _COLOURS["resolved" if is_over else notice.severity]
        return f"{'' if is_over else _BELL}{colour}{notice.line}{_PLAIN}"
