"""Hands notifications to the channels, each on a thread of its own, so that a slow one delays nothing else."""

from __future__ import annotations

import dataclasses
import logging
import queue
import threading
import time
from collections.abc import Callable, Collection, Sequence
from typing import TypeAlias

from llmops.notifiers.contract import Notifier
from llmops.notifiers.errors import DeliveryFailed
from llmops.notifiers.notification import Notification

PAUSES_S = (1.0, 2.0, 5.0, 15.0, 30.0, 60.0)
"""Between the tries: a receiver that restarts within two minutes misses nothing."""
_CAPACITY = 256
_log = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Delivered:
    """How one channel fared with one notification. `why`: what failed, None where nothing did."""

    notification: Notification
    channel: str
    attempts: int
    why: str | None = None


Report: TypeAlias = Callable[[Delivered], None]


class Delivery:
    """`tell` never blocks and never raises; at `capacity` waiting notifications of a channel the newest is given up.

    What fails is tried again after `pauses_s`, then given up loudly. `report` hears of each end, on the channel's
    thread; of what is still under way when it closes it hears nothing.
    """

    def __init__(
        self,
        notifiers: Sequence[Notifier],
        report: Report = lambda _: None,
        *,
        capacity: int = _CAPACITY,
        pauses_s: Sequence[float] = PAUSES_S,
    ) -> None:
        self._couriers = [_Courier(notifier, report, capacity, pauses_s) for notifier in notifiers]

    @property
    def channels(self) -> list[str]:
        """Their names, in order."""
        return [courier.name for courier in self._couriers]

    @property
    def ended(self) -> list[str]:
        """Channels whose thread has ended without being asked to: they deliver nothing more."""
        return [courier.name for courier in self._couriers if not courier.is_alive]

    @property
    def failed(self) -> int:
        """Notifications that a channel did not take, over all channels."""
        return sum(courier.failed for courier in self._couriers)

    def tell(self, notification: Notification, channels: Collection[str] | None = None) -> None:
        """Give it to every channel, or to those of these names."""
        for courier in self._couriers:
            if channels is None or courier.name in channels:
                courier.take(notification)

    @property
    def is_idle(self) -> bool:
        """Nothing waits and nothing is under way."""
        return all(courier.is_idle for courier in self._couriers)

    def close(self, timeout_s: float = 5.0) -> bool:
        """Deliver what waits, each once more at most; True when all of it was handed over in time."""
        deadline = time.monotonic() + timeout_s
        for courier in self._couriers:
            courier.dismiss()
        in_time = [courier.join(max(0.0, deadline - time.monotonic())) for courier in self._couriers]
        return all(in_time)


class _Courier:
    def __init__(self, notifier: Notifier, report: Report, capacity: int, pauses_s: Sequence[float]) -> None:
        self.name = notifier.name
        self._notifier = notifier
        self._report = report
        self._pauses_s = pauses_s
        self._waiting: queue.Queue[Notification] = queue.Queue(capacity)
        self._closing = threading.Event()
        self.failed = 0
        self._thread = threading.Thread(target=self._run, name=f"llmops-notify-{notifier.name}", daemon=True)
        self._thread.start()

    def take(self, notification: Notification) -> None:
        try:
            self._waiting.put_nowait(notification)
        except queue.Full:
            self._give_up(notification, "too many notifications wait for it", 0)

    @property
    def is_idle(self) -> bool:
        return not self._waiting.unfinished_tasks

    @property
    def is_alive(self) -> bool:
        return self._closing.is_set() or self._thread.is_alive()

    def dismiss(self) -> None:
        self._closing.set()

    def join(self, timeout_s: float) -> bool:
        self._thread.join(timeout_s)
        if self._thread.is_alive():
            _log.error("%s is still busy: up to %d alerts are not told now.", self.name, self._waiting.qsize() + 1)
        return not self._thread.is_alive()

    def _run(self) -> None:
        while not (self._closing.is_set() and self._waiting.empty()):
            try:
                notification = self._waiting.get(timeout=0.1)
            except queue.Empty:
                continue
            self._deliver(notification)
            self._waiting.task_done()

    def _deliver(self, notification: Notification) -> None:
        """Once, and again after each pause. While it closes, what fails is left for the next start."""
        for attempt, pause_s in enumerate((*self._pauses_s, None), start=1):
            why, is_final = self._try(notification)
            if why is None:
                self._report(Delivered(notification=notification, channel=self.name, attempts=attempt))
                return
            if is_final:
                self._give_up(notification, f"{why}; not tried again", attempt)
                return
            if pause_s is None:
                self._give_up(notification, f"{why}; given up after {attempt} tries", attempt)
                return
            if attempt == 1:
                _log.warning("%s did not take an alert (%s) and is tried again.", self.name, why)
            if self._closing.wait(pause_s):
                self.failed += 1
                _log.error("%s did not take an alert: %s. The alert: %s", self.name, why, notification.text)
                return

    def _try(self, notification: Notification) -> tuple[str | None, bool]:
        try:
            self._notifier.deliver(notification)
        except DeliveryFailed as error:
            return str(error), error.is_final
        except Exception as error:
            return f"{type(error).__name__}: {error}", True
        return None, False

    def _give_up(self, notification: Notification, why: str, attempts: int) -> None:
        self.failed += 1
        _log.error("%s did not take an alert: %s. The alert: %s", self.name, why, notification.text)
        self._report(Delivered(notification=notification, channel=self.name, attempts=attempts, why=why))
