"""When the stack measures itself: the self-benchmark rarely, the canary often, and neither while users wait."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from llmops.events.snapshot import ServeSnapshot

_log = logging.getLogger(__name__)


class Schedule:
    """Calls `run` every `interval_s` on a thread of its own; when it returns False (users were waiting) again after
    `retry_s`.

    It counts seconds, not times of day: a clock that is set back or forward neither silences nor hurries it.
    """

    def __init__(
        self,
        run: Callable[[], bool],
        *,
        interval_s: float,
        retry_s: float,
        first_after_s: float | None = None,
        stopping: threading.Event | None = None,
        what: str = "self-benchmark",
    ) -> None:
        self.what = what
        self._run = run
        self._interval_s = interval_s
        self._stopping = stopping or threading.Event()
        self._retry_s = min(retry_s, interval_s)
        self._first_after_s = interval_s if first_after_s is None else first_after_s
        self._thread = threading.Thread(target=self._repeat, name=f"llmops-{what}", daemon=True)

    @property
    def is_alive(self) -> bool:
        """False once its thread has ended without being asked to."""
        return self._stopping.is_set() or self._thread.ident is None or self._thread.is_alive()

    def start(self) -> None:
        """Begin to wait for the first run."""
        self._thread.start()

    def stop(self) -> None:
        """Run nothing more; a run that is under way sees `stopping` and ends by itself. Idempotent; also before
        `start`."""
        self._stopping.set()

    def _repeat(self) -> None:
        pause_s = self._first_after_s
        while not self._stopping.wait(pause_s):
            pause_s = self._interval_s if self._once() else self._retry_s

    def _once(self) -> bool:
        """Whether the next run may wait for a whole interval; a failure is logged, and is not repeated sooner."""
        try:
            return self._run()
        except Exception:
            _log.exception("the %s failed", self.what)
            return True


def busy(snapshot: ServeSnapshot) -> bool:
    """Whether a benchmark would be felt, or would measure something else: users run or wait, or serve is not ready."""
    return snapshot.state != "ready" or snapshot.running > 0 or snapshot.waiting > 0
