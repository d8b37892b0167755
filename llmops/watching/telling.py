"""From alerts to people: decides with what is remembered, hands over to the channels, keeps both across restarts."""

from __future__ import annotations

import collections
import contextlib
import logging
from collections.abc import Callable, Sequence
from typing import TypeAlias

from llmops.alerts import Memory, Message, Pace, Transition, decide
from llmops.alerts.lifecycle import States
from llmops.alerts.quiet import Orders
from llmops.alerts.record import delivery_event
from llmops.events import Bus
from llmops.notifiers import Delivered, Delivery, Notification
from llmops.settings import AlertSettings
from llmops.store import Store, StoreUnavailable
from llmops.watching.kept import KeptState

Words: TypeAlias = Callable[[Message], Notification]
KEY = "alerts.telling"
"""Of the kept state: what was told, and what is on its way."""
_log = logging.getLogger(__name__)


def pace_of(dials: AlertSettings) -> Pace:
    """As it is set."""
    return Pace(
        group_wait_s=dials.group_wait_s, group_interval_s=dials.group_interval_s, repeat_s=dials.repeat_interval_s
    )


class Teller:
    """What leaves is kept until every channel took it or gave it up, so that a restart neither loses nor repeats it."""

    def __init__(
        self,
        store: Store,
        bus: Bus,
        channels: Callable[[Callable[[Delivered], None]], Delivery],
        *,
        words: Words,
        orders: Callable[[], Orders] = Orders,
        pace: Pace | None = None,
    ) -> None:
        self._kept = KeptState(store, KEY)
        self._bus = bus
        self._words = words
        self._orders = orders
        self._pace = pace or Pace()
        self._done: collections.deque[Delivered] = collections.deque()
        self._delivery = channels(self._done.append)
        self._memory: Memory | None = None
        self._is_restored = self._has_complained = False
        self._on_the_way: dict[str, tuple[Message, set[str]]] = {}

    @property
    def ended(self) -> list[str]:
        """Channels whose thread has ended."""
        return self._delivery.ended

    def tell(self, states: States, ended: Sequence[Transition], now: float) -> None:
        """After one look: `states` as they are, and what was resolved by it. Call it once the states are kept."""
        if self._memory is None:
            with contextlib.suppress(StoreUnavailable):
                self.restore({})
        self._note(now)
        self._memory, messages, _ = decide(self._memory or Memory(), states, ended, self._orders(), self._pace, now)
        for message in messages:
            self._on_the_way[message.id] = (message, set(self._delivery.channels))
        self._save()
        for message in messages:
            self._delivery.tell(self._words(message))

    def shift(self, by_s: float) -> None:
        """The clock was set by so much: nothing is told sooner or later for that."""
        if self._memory is not None:
            self._memory = self._memory.shifted(by_s)

    def close(self, now: float) -> None:
        """Deliver what can be delivered now; the rest is kept for the next start."""
        self._delivery.close()
        if self._memory is not None:
            self._note(now)
            self._save()

    def restore(self, states: States) -> None:
        """What was told before a restart, when the alerts were in these states; what was on its way then goes on.

        Raises StoreUnavailable: until it is called again, only what is told meanwhile counts.
        """
        if self._is_restored:
            return
        self._memory = since = self._memory or Memory()
        kept = self._kept.load()
        self._is_restored = True
        self._memory = _joined(since, Memory.of_firing(states))
        if kept is None:
            return
        try:
            memory = Memory.from_json(kept["memory"])
            ways = [(Message.from_json(each["message"]), set(each["channels"])) for each in kept["on_the_way"]]
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            _log.warning("what was told cannot be read (%r); alerts that fire count as told", error)
            return
        self._memory = _joined(since, memory)
        for message, channels in ways:
            left = channels & set(self._delivery.channels)  # a channel that was taken out of service waits for nothing
            if left:
                self._on_the_way[message.id] = (message, left)
                self._delivery.tell(self._words(message), left)

    def _note(self, now: float) -> None:
        """Write down how the channels fared."""
        while self._done:
            done = self._done.popleft()
            message, left = self._on_the_way.get(done.notification.id, (None, set()))
            left.discard(done.channel)
            if message is None:
                continue
            if not left:
                del self._on_the_way[message.id]
            self._bus.emit(delivery_event(message, done.channel, attempts=done.attempts, why=done.why, at=now))

    def _save(self) -> None:
        """A store that fails must not keep people in the dark; what it holds is read before it is replaced."""
        if not self._is_restored:
            return
        ways = [
            {"message": message.to_json(), "channels": sorted(channels)}
            for message, channels in self._on_the_way.values()
        ]
        kept = {"memory": self._memory.to_json() if self._memory else None, "on_the_way": ways}
        try:
            self._kept.save(kept)
        except Exception as error:
            if not self._has_complained:
                _log.error("what was told could not be kept, and is kept as soon as it can be: %s", error)
            self._has_complained = True
        else:
            self._has_complained = False


def _joined(since: Memory, before: Memory) -> Memory:
    """One memory of two; what was told first counts."""
    return Memory({**since.told, **before.told}, {**since.waiting, **before.waiting}, {**since.groups, **before.groups})
