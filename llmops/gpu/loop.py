"""Samples at a steady pace on a thread of its own, and keeps the latest for whoever asks."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence

from llmops.events import Emit, SampleEvent
from llmops.gpu.contract import Sampler

STALE_S = 10.0
_log = logging.getLogger(__name__)


class SamplingLoop:
    """`decorate` adds what only the program knows (requests running, the allocator's memory) to each sample."""

    def __init__(
        self,
        sampler: Sampler,
        emit: Emit,
        interval_s: float,
        decorate: Callable[[SampleEvent], SampleEvent] = lambda sample: sample,
        *,
        stale_s: float = STALE_S,
    ) -> None:
        self._sampler = sampler
        self._emit = emit
        self._interval_s = interval_s
        self._decorate = decorate
        self._stale_s = stale_s
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="llmops-samples", daemon=True)
        self._failing = False
        self._latest: Sequence[SampleEvent] = ()
        self._latest_at = time.monotonic()

    @property
    def latest(self) -> Sequence[SampleEvent]:
        """Of the last tick; nothing while a driver keeps the thread for longer than `STALE_S` or three intervals."""
        is_stale = time.monotonic() - self._latest_at > max(self._stale_s, 3 * self._interval_s)
        return () if is_stale else self._latest

    @property
    def is_alive(self) -> bool:
        """False once its thread has ended without being asked to."""
        return self._stop.is_set() or self._thread.ident is None or self._thread.is_alive()

    def start(self) -> None:
        """Begin, with a first sample at once."""
        self._thread.start()

    def stop(self, patience_s: float = 5.0) -> None:
        """End and release the devices, which a call that hangs keeps. Idempotent; also before `start`."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(timeout=patience_s)

    def _run(self) -> None:
        due = time.monotonic()
        while not self._stop.is_set():
            self._tick(time.time())
            # A tick that was missed is skipped, not made up for.
            due = max(due + self._interval_s, time.monotonic())
            self._stop.wait(due - time.monotonic())
        self._sampler.close()

    def _tick(self, now: float) -> None:
        """One round; a failure is told once, not every second, and leaves no stale numbers behind."""
        try:
            began = time.monotonic()
            samples = [self._decorate(sample) for sample in self._sampler.sample(now)]
            took_s = time.monotonic() - began
            if took_s > self._stale_s:
                _log.warning("the hardware took %.1f s to answer", took_s)
            self._latest, self._latest_at = samples, time.monotonic()
            for sample in samples:
                self._emit(sample)
            self._failing = False
        except Exception:
            self._latest = ()
            if not self._failing:
                _log.exception("the hardware cannot be sampled; trying on")
            self._failing = True
