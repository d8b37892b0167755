"""Small files that a full or read-only disk refuses at the start: written later, while the program works."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import TypeAlias

from llmops.state.files import is_passing

EVERY_S = 5.0
"""Between two tries."""
Write: TypeAlias = Callable[[], None]
_log = logging.getLogger(__name__)


class DeferredWrites:
    """Tries each write again until the disk takes it. Any thread may call."""

    def __init__(self) -> None:
        self._waiting: dict[str, Write] = {}
        self._lock = threading.Lock()

    def write(self, what: str, action: Write) -> None:
        """Run the action now, or again at each `retry`; it takes the place of an earlier one for the same file.

        what: the file, for the log. Raises an OSError that does not pass.
        """
        with self._lock:
            self._waiting.pop(what, None)
            try:
                action()
            except OSError as error:
                if not is_passing(error):
                    raise
                _log.warning("%s cannot be written (%s): trying again every %.0f s", what, error.strerror, EVERY_S)
                self._waiting[what] = action

    def forget(self, what: str) -> None:
        """Let go of a write that waits."""
        with self._lock:
            self._waiting.pop(what, None)

    def retry(self) -> None:
        """Try what waits once more; never raises OSError."""
        with self._lock:
            for what, action in list(self._waiting.items()):
                try:
                    action()
                except OSError:
                    continue
                del self._waiting[what]
                _log.info("%s is written now", what)
