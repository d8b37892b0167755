"""When the stack measures itself: the self-benchmark rarely, the canary often, and neither while users wait."""

from __future__ import annotations

import datetime
import logging
import threading
from collections.abc import Callable

from apscheduler.schedulers.background import BackgroundScheduler

from llmops.events.snapshot import ServeSnapshot

_log = logging.getLogger(__name__)


class Schedule:
    """Calls `run` every `interval_s`; when it returns False (users were waiting) again after `retry_s`."""

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
        self._run = run
        self._what = what
        self._interval_s = interval_s
        self._stopping = stopping or threading.Event()
        self._retry_s = min(retry_s, interval_s)
        self._first_after_s = interval_s if first_after_s is None else first_after_s
        # A machine that slept makes a missed run once, not once for each that it missed.
        defaults = {"coalesce": True, "max_instances": 1, "misfire_grace_time": None}
        self._scheduler = BackgroundScheduler(job_defaults=defaults, timezone=datetime.UTC)

    def start(self) -> None:
        """Begin to wait for the first run."""
        self._scheduler.start()
        self._again_after(self._first_after_s)

    def stop(self) -> None:
        """Run nothing more; a run that is under way sees `stopping` and ends by itself."""
        self._stopping.set()
        if self._scheduler.running:
            self._scheduler.shutdown(wait=False)

    def _again_after(self, seconds: float) -> None:
        due = datetime.datetime.now(datetime.UTC) + datetime.timedelta(seconds=seconds)
        self._scheduler.add_job(self._once, "date", run_date=due, id=self._what, replace_existing=True)

    def _once(self) -> None:
        done = True
        try:
            done = self._run()
        except Exception:
            _log.exception("the %s failed", self._what)
        finally:
            if self._scheduler.running:
                self._again_after(self._interval_s if done else self._retry_s)


def busy(snapshot: ServeSnapshot) -> bool:
    """Whether a benchmark would be felt, or would measure something else: users run or wait, or serve is not ready."""
    return snapshot.state != "ready" or snapshot.running > 0 or snapshot.waiting > 0
