"""When the stack measures itself: the self-benchmark rarely, the canary often, and neither while users wait."""

from __future__ import annotations

import datetime
import logging
import threading
import time
from collections.abc import Callable

from apscheduler.schedulers.background import BackgroundScheduler

from llmops.events.snapshot import ServeSnapshot

_log = logging.getLogger(__name__)
_STEP_S = 1.0
"""A clock that is corrected little by little moves by less between two runs."""


class Schedule:
    """Calls `run` every `interval_s`; when it returns False (users were waiting) again after `retry_s`.

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
        now: Callable[[], float] = time.time,
    ) -> None:
        self.what = what
        self._run = run
        self._interval_s = interval_s
        self._stopping = stopping or threading.Event()
        self._retry_s = min(retry_s, interval_s)
        self._first_after_s = interval_s if first_after_s is None else first_after_s
        self._now = now
        self._scheduler = _SteadyScheduler(now)

    @property
    def is_alive(self) -> bool:
        """False once its thread has ended without being stopped."""
        return self._stopping.is_set() or self._scheduler.is_alive

    def start(self) -> None:
        """Begin to wait for the first run."""
        self._scheduler.start()
        self._again_after(self._first_after_s)

    def stop(self) -> None:
        """Run nothing more; a run that is under way sees `stopping` and ends by itself. Idempotent; also before
        `start`."""
        self._stopping.set()
        if self._scheduler.running:
            self._scheduler.shutdown(wait=False)

    def _again_after(self, seconds: float) -> None:
        self._scheduler.follow_clock()
        due = datetime.datetime.fromtimestamp(self._now() + seconds, datetime.UTC)
        self._scheduler.add_job(self._once, "date", run_date=due, id=self.what, replace_existing=True)

    def _once(self) -> None:
        """A failure is logged, and is not repeated sooner."""
        done = True
        try:
            done = self._run()
        except Exception:
            _log.exception("the %s failed", self.what)
        finally:
            if self._scheduler.running:
                self._again_after(self._interval_s if done else self._retry_s)


class _SteadyScheduler(BackgroundScheduler):  # type: ignore[misc]
    """APScheduler, whose jobs are due at times of day: they move with a clock that is set."""

    def __init__(self, now: Callable[[], float]) -> None:
        # A machine that slept makes a missed run once, not once for each that it missed.
        defaults = {"coalesce": True, "max_instances": 1, "misfire_grace_time": None}
        super().__init__(job_defaults=defaults, timezone=datetime.UTC)
        self._now = now
        self._ahead_s = now() - time.monotonic()
        self._following = threading.Lock()

    @property
    def is_alive(self) -> bool:
        """Whether the thread runs, or has not begun."""
        return self._thread is None or self._thread.is_alive()

    def follow_clock(self) -> None:
        """Move what is due by as much as the clock was set since the last call."""
        with self._following:
            before_s, self._ahead_s = self._ahead_s, self._now() - time.monotonic()
            step = datetime.timedelta(seconds=self._ahead_s - before_s)
        if abs(step.total_seconds()) > _STEP_S:
            for job in self.get_jobs():
                job.modify(next_run_time=job.next_run_time + step)

    def _process_jobs(self) -> float | None:
        """The library calls it whenever something should be due; its wait between two calls is monotonic."""
        self.follow_clock()
        wait_s: float | None = super()._process_jobs()
        return wait_s


def busy(snapshot: ServeSnapshot) -> bool:
    """Whether a benchmark would be felt, or would measure something else: users run or wait, or serve is not ready."""
    return snapshot.state != "ready" or snapshot.running > 0 or snapshot.waiting > 0
