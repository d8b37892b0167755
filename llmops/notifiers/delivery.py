"""Hands notifications to the channels, each on a thread of its own, so that a slow one delays nothing else."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

from llmops.notifiers.contract import Notifier
from llmops.notifiers.courier import PAUSES_S, RETRY_S, Courier, Delivered, Report
from llmops.notifiers.notification import Notification

__all__ = ["PAUSES_S", "RETRY_S", "Delivered", "Delivery", "Report"]

_CAPACITY = 256
_log = logging.getLogger(__name__)


class Delivery:
    """`tell` never blocks and never raises; at `capacity` waiting notifications of a channel the newest is given up.

    What fails is tried again after `pauses_s`, and then every `retry_s` until it is delivered or withdrawn. `report`
    gets the outcome of each try, on the channel's thread. A channel that keeps a state of its own gets what is
    `active` as often as it wants.
    """

    def __init__(
        self,
        notifiers: Sequence[Notifier],
        report: Report = lambda _: None,
        *,
        capacity: int = _CAPACITY,
        pauses_s: Sequence[float] = PAUSES_S,
        retry_s: float = RETRY_S,
    ) -> None:
        self._active: Callable[[], Iterable[Notification]] = list
        self._couriers = [
            Courier(each, report, self._all_active, capacity=capacity, pauses_s=pauses_s, retry_s=retry_s)
            for each in notifiers
        ]

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

    @property
    def failing(self) -> Mapping[str, str]:
        """Why, of each channel that took nothing since it did not take a notification after all its pauses."""
        return {courier.name: courier.failing for courier in self._couriers if courier.failing is not None}

    @property
    def is_idle(self) -> bool:
        """Nothing is under way, and nothing waits but for a channel that fails."""
        return all(courier.is_idle for courier in self._couriers)

    def tell(self, notification: Notification, channels: Collection[str] | None = None) -> None:
        """Give it to every channel, or to those of these names."""
        for courier in self._couriers:
            if channels is None or courier.name in channels:
                courier.take(notification)

    def withdraw(self, ids: Collection[str], channel: str) -> bool:
        """Do not deliver them any more, all or none. False: one of them is being delivered now, or was."""
        return any(courier.withdraw(ids) for courier in self._couriers if courier.name == channel)

    def keep_active(self, active: Callable[[], Iterable[Notification]]) -> None:
        """Where channels that keep a state of their own find what is active; it is called on their threads."""
        self._active = active

    def _all_active(self) -> Iterable[Notification]:
        return self._active()

    def close(self, timeout_s: float = 5.0) -> bool:
        """Deliver what waits, each once more at most; True when all of it was handed over in time."""
        deadline = time.monotonic() + timeout_s
        for courier in self._couriers:
            courier.dismiss()
        in_time = [courier.join(max(0.0, deadline - time.monotonic())) for courier in self._couriers]
        return all(in_time)
