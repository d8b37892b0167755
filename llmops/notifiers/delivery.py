"""Hands notices to the channels, each on a thread of its own, so that a slow one delays nothing else."""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Sequence

from llmops.notifiers.contract import Notifier
from llmops.notifiers.errors import DeliveryFailed
from llmops.notifiers.notice import Notice

_CAPACITY = 256
_log = logging.getLogger(__name__)


class Delivery:
    """`tell` never blocks and never raises; at `capacity` waiting notices of a channel the newest is lost, loudly."""

    def __init__(self, notifiers: Sequence[Notifier], *, capacity: int = _CAPACITY) -> None:
        self._couriers = [_Courier(notifier, capacity) for notifier in notifiers]

    @property
    def failed(self) -> int:
        """Notices that a channel did not take, over all channels."""
        return sum(courier.failed for courier in self._couriers)

    def tell(self, notice: Notice) -> None:
        """Give it to every channel."""
        for courier in self._couriers:
            courier.take(notice)

    def close(self, timeout_s: float = 5.0) -> bool:
        """Deliver what waits; True when all of it was handed over in time."""
        deadline = time.monotonic() + timeout_s
        for courier in self._couriers:
            courier.dismiss()
        in_time = [courier.join(max(0.0, deadline - time.monotonic())) for courier in self._couriers]
        return all(in_time)


class _Courier:
    def __init__(self, notifier: Notifier, capacity: int) -> None:
        self._notifier = notifier
        self._waiting: queue.Queue[Notice] = queue.Queue(capacity)
        self._closing = threading.Event()
        self.failed = 0
        self._thread = threading.Thread(target=self._run, name=f"llmops-notify-{notifier.name}", daemon=True)
        self._thread.start()

    def take(self, notice: Notice) -> None:
        try:
            self._waiting.put_nowait(notice)
        except queue.Full:
            self._lose(notice, "too many notices wait for it")

    def dismiss(self) -> None:
        self._closing.set()

    def join(self, timeout_s: float) -> bool:
        self._thread.join(timeout_s)
        if self._thread.is_alive():
            _log.error(
                "%s is still busy: up to %d alerts are not told.", self._notifier.name, self._waiting.qsize() + 1
            )
        return not self._thread.is_alive()

    def _run(self) -> None:
        while not (self._closing.is_set() and self._waiting.empty()):
            try:
                notice = self._waiting.get(timeout=0.1)
            except queue.Empty:
                continue
            try:
                self._notifier.deliver(notice)
            except DeliveryFailed as error:
                self._lose(notice, str(error))
            except Exception as error:
                self._lose(notice, f"{type(error).__name__}: {error}")

    def _lose(self, notice: Notice, why: str) -> None:
        self.failed += 1
        _log.error("%s did not take an alert: %s. The alert: %s", self._notifier.name, why, notice.line)
