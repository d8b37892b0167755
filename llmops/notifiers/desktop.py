"""Tells the person at this desktop, through `notify-send`."""

from __future__ import annotations

import html
import shutil
import subprocess

from llmops.notifiers.errors import DeliveryFailed
from llmops.notifiers.notification import Notification

TIMEOUT_S = 5.0
_URGENCIES = {"page": "critical", "ticket": "normal"}


class Desktop:
    """Texts are arguments of the program, never a shell's; desktops show markup in the body, so it has none."""

    name = "desktop"

    def __init__(self, *, timeout_s: float = TIMEOUT_S) -> None:
        self._timeout_s = timeout_s

    def deliver(self, notification: Notification) -> None:
        program = shutil.which("notify-send")
        if program is None:
            raise DeliveryFailed("there is no notify-send on this machine", is_final=True)
        urgency = "low" if notification.is_over else _URGENCIES[notification.first.severity]
        body = html.escape(notification.text, quote=False)
        command = [program, "--app-name=llmops", f"--urgency={urgency}", "--", notification.title, body]
        try:
            done = subprocess.run(
                command, timeout=self._timeout_s, stdin=subprocess.DEVNULL, capture_output=True, check=False
            )
        except subprocess.TimeoutExpired:
            raise DeliveryFailed("notify-send did not end in time") from None
        except OSError as error:
            raise DeliveryFailed(f"notify-send cannot be started ({type(error).__name__})", is_final=True) from None
        if done.returncode != 0:
            raise DeliveryFailed(f"notify-send failed with status {done.returncode}")
