"""One channel's thread: what waits for it, what failed and when it is tried again."""

from __future__ import annotations

import dataclasses
import logging
import threading
import time
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import TypeAlias

from llmops.notifiers.contract import Notifier, Refreshed
from llmops.notifiers.errors import DeliveryFailed
from llmops.notifiers.notification import Notification

PAUSES_S = (1.0, 2.0, 5.0, 15.0, 30.0, 60.0)
"""Between the first tries."""
RETRY_S = 300.0
"""Between the tries after those."""
_SHORTEST_RETRY_S = 1.0
_log = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Delivered:
    """How one channel fared with one notification. `why`: what failed, None where nothing did; `is_given_up`: it is not
    tried again soon, but only every `retry_s`; `is_lost`: it is not tried again at all."""

    notification: Notification
    channel: str
    attempts: int
    why: str | None = None
    is_given_up: bool = False
    is_lost: bool = False


Report: TypeAlias = Callable[[Delivered], None]


@dataclasses.dataclass(slots=True)
class _Pending:
    notification: Notification
    due: float = 0.0
    attempts: int = 0
    is_given_up: bool = False

    @property
    def fingerprints(self) -> set[str]:
        return {notice.fingerprint for notice in self.notification.notices}


class Courier:
    """Delivers in order what belongs to one alert. Another alert does not wait for what fails, and a channel that takes
    one notification gets all the others at once."""

    def __init__(
        self,
        notifier: Notifier,
        report: Report,
        active: Callable[[], Iterable[Notification]],
        *,
        capacity: int,
        pauses_s: Sequence[float],
        retry_s: float,
    ) -> None:
        self.name = notifier.name
        self.failed = 0
        self.failing: str | None = None
        self._notifier = notifier
        self._report = report
        self._active = active
        self._capacity = capacity
        self._pauses_s = tuple(pauses_s)
        self._retry_s = max(_SHORTEST_RETRY_S, retry_s)
        self._pending: list[_Pending] = []
        self._under_way: _Pending | None = None
        self._refresh_due, self._is_refresh_failing = 0.0, False
        self._changed = threading.Condition()
        self._closing = False
        self._thread = threading.Thread(target=self._run, name=f"llmops-notify-{notifier.name}", daemon=True)
        self._thread.start()

    @property
    def is_idle(self) -> bool:
        with self._changed:
            return self._under_way is None and all(each.is_given_up for each in self._pending)

    @property
    def is_alive(self) -> bool:
        return self._closing or self._thread.is_alive()

    def take(self, notification: Notification) -> None:
        """Never blocks."""
        with self._changed:
            if has_room := len(self._pending) < self._capacity:
                self._pending.append(_Pending(notification))
                self._changed.notify()
        if not has_room:
            self._fail(_Pending(notification), "too many notifications wait for it", is_lost=True)

    def withdraw(self, ids: Collection[str]) -> bool:
        """All or none. False: one of them is not here, or is being delivered now."""
        with self._changed:
            left = [each for each in self._pending if each.notification.id not in ids]
            is_possible = len(self._pending) - len(left) == len(ids)
            is_possible &= self._under_way is None or self._under_way.notification.id not in ids
            if is_possible:
                self._pending = left
        return is_possible

    def dismiss(self) -> None:
        with self._changed:
            self._closing = True
            self._changed.notify()

    def join(self, timeout_s: float) -> bool:
        self._thread.join(timeout_s)
        if self._thread.is_alive():
            _log.error("%s is still busy: up to %d alerts are not told now.", self.name, len(self._pending))
        return not self._thread.is_alive()

    def _run(self) -> None:
        while (pending := self._next()) is not None:
            if isinstance(self._notifier, Refreshed) and pending is _REFRESH:
                self._refresh(self._notifier)
            else:
                self._deliver(pending)
        for each in (each for each in self._pending if not each.is_given_up):
            self.failed += 1
            _log.error("%s did not take an alert, it is kept. The alert: %s", self.name, each.notification.text)

    def _next(self) -> _Pending | None:
        """What is due now; None when it closes, and all was tried that had not been."""
        with self._changed:
            while True:
                now = time.monotonic()
                ready = [each for number, each in enumerate(self._pending) if not self._is_blocked(number)]
                if self._closing:
                    self._under_way = next((each for each in ready if not each.attempts), None)
                    return self._under_way
                first = min(ready, key=lambda each: each.due, default=None)
                if first is not None and first.due <= now:
                    self._under_way = first
                    return first
                refresh_due = self._refresh_due if isinstance(self._notifier, Refreshed) else float("inf")
                if refresh_due <= now:
                    return _REFRESH
                wait_s = min(refresh_due, first.due if first else float("inf")) - now
                self._changed.wait(min(wait_s, threading.TIMEOUT_MAX))

    def _is_blocked(self, number: int) -> bool:
        """An earlier notification of the same alert must be delivered first."""
        own = self._pending[number].fingerprints
        return any(own & each.fingerprints for each in self._pending[:number])

    def _deliver(self, pending: _Pending) -> None:
        why, is_final = self._try(pending.notification)
        pending.attempts += 1
        if why is None:
            self._succeed(pending)
        else:
            is_given_up = is_final or pending.attempts > len(self._pauses_s) or pending.is_given_up
            pause_s = self._retry_s if is_given_up else self._pauses_s[pending.attempts - 1]
            pending.due = time.monotonic() + pause_s
            if pending.attempts == 1 and not is_given_up:
                _log.warning("%s did not take an alert (%s) and is tried again.", self.name, why)
            if is_given_up:
                self.failing = why
            if is_given_up and not pending.is_given_up:
                self._fail(pending, f"{why}; tried {pending.attempts} times, and again every {self._retry_s:g} s")
            else:
                self._report(self._delivered(pending, why))
            pending.is_given_up = is_given_up
        with self._changed:
            self._under_way = None

    def _succeed(self, pending: _Pending) -> None:
        with self._changed:
            self._pending = [each for each in self._pending if each is not pending]
            for each in self._pending:
                each.due = 0.0
        self.failing = None
        self._report(self._delivered(pending, None))

    def _try(self, notification: Notification) -> tuple[str | None, bool]:
        try:
            self._notifier.deliver(notification)
        except DeliveryFailed as error:
            return str(error), error.is_final
        except Exception as error:
            return f"{type(error).__name__}: {error}", True
        return None, False

    def _refresh(self, notifier: Refreshed) -> None:
        """What is active, to a channel that forgets it otherwise. One failure is logged, until it works again."""
        try:
            notifier.refresh(list(self._active()))
        except Exception as error:
            if not self._is_refresh_failing:
                _log.warning("%s did not take the active alerts (%s) and is tried again.", self.name, error)
            self._is_refresh_failing = True
        else:
            self._is_refresh_failing = False
        self._refresh_due = time.monotonic() + notifier.refresh_s

    def _fail(self, pending: _Pending, why: str, *, is_lost: bool = False) -> None:
        self.failed += 1
        _log.error("%s did not take an alert: %s. The alert: %s", self.name, why, pending.notification.text)
        done = self._delivered(pending, why)
        self._report(dataclasses.replace(done, is_given_up=True, is_lost=is_lost))

    def _delivered(self, pending: _Pending, why: str | None) -> Delivered:
        return Delivered(notification=pending.notification, channel=self.name, attempts=pending.attempts, why=why)


_REFRESH = _Pending(Notification("", "", ()))
"""Stands for the turn of `refresh`."""
