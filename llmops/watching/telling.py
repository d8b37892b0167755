"""From alerts to people: decides with what is remembered, hands over to the channels, keeps both across restarts."""

from __future__ import annotations

import collections
import contextlib
import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

from llmops.alerts import Item, Memory, Message, Pace, Transition, decide
from llmops.alerts.lifecycle import States
from llmops.alerts.outbox import still_needed
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
        group_wait_s=dials.group_wait_s,
        group_interval_s=dials.group_interval_s,
        repeat_s=dials.repeat_interval_s,
        hold_s=dials.resolve_hold_s,
    )


class Teller:
    """What leaves is kept until every channel took it or it is over, so that a restart neither loses nor repeats it."""

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
        self._tries: dict[tuple[str, str], dict[str, Any]] = {}
        self._delivery.keep_active(self._active)

    @property
    def ended(self) -> list[str]:
        """Channels whose thread has ended."""
        return self._delivery.ended

    @property
    def failing(self) -> Mapping[str, str]:
        """Why, of each channel that does not deliver."""
        return self._delivery.failing

    @property
    def is_idle(self) -> bool:
        """Every delivery has come to an end, or its channel counts as failing."""
        return self._delivery.is_idle

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
        for channel in self._delivery.channels:
            self._drop_what_is_over(channel)

    def _active(self) -> list[Notification]:
        """What people were told and what has not ended, for channels that keep a state; acknowledged or not."""
        told = list((self._memory or Memory()).told.values())
        messages = (
            Message(
                group=each.finding.group,
                at=each.at,
                items=(
                    Item(
                        action="repeat",
                        times=each.times,
                        transition=Transition(action="firing", at=each.at, started=each.started, finding=each.finding),
                    ),
                ),
            )
            for each in told
        )
        return [self._words(message) for message in messages]

    def _drop_what_is_over(self, channel: str) -> None:
        """A channel that was out delivers of each alert the last word only."""
        pending = [message for message, left in self._on_the_way.values() if channel in left]
        changed = [(old, new) for old, new in zip(pending, still_needed(pending), strict=True) if old != new]
        if not changed or not self._delivery.withdraw({old.id for old, _ in changed}, channel):
            return
        for old, new in changed:
            self._leave(old.id, channel)
            if new is not None:
                self._on_the_way.setdefault(new.id, (new, set()))[1].add(channel)
                self._delivery.tell(self._words(new), {channel})

    def _leave(self, identity: str, channel: str) -> Message | None:
        """This message is not on its way to this channel any more."""
        message, left = self._on_the_way.get(identity, (None, set()))
        left.discard(channel)
        self._tries.pop((identity, channel), None)
        if not left:
            self._on_the_way.pop(identity, None)
        return message

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
            identity = done.notification.id
            if identity not in self._on_the_way:
                continue
            message = self._on_the_way[identity][0]
            if done.why is None or done.is_lost:
                self._leave(identity, done.channel)
            else:
                self._tries[identity, done.channel] = {"attempts": done.attempts, "why": done.why, "at": now}
            if done.why is None or done.is_given_up:
                self._bus.emit(delivery_event(message, done.channel, attempts=done.attempts, why=done.why, at=now))

    def _save(self) -> None:
        """A store that fails must not keep people in the dark; what it holds is read before it is replaced."""
        if not self._is_restored:
            return
        ways = [
            {
                "message": message.to_json(),
                "channels": sorted(channels),
                "tries": {
                    each: self._tries[message.id, each] for each in channels if (message.id, each) in self._tries
                },
            }
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
