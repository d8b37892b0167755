"""A watch whose clock, serve and channels belong to the test; its journal, store and bus are real."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable
from pathlib import Path

from llmops.alerts import Pace
from llmops.alerts.quiet import Orders
from llmops.client import ServeUnreachable
from llmops.events import Bus, Document, Origin
from llmops.events.snapshot import DeviceSnapshot, ServeSnapshot
from llmops.notifiers import Delivered, Delivery, Notice, Notification, notification_of
from llmops.overview.objectives import objectives_of
from llmops.settings import ObjectiveSettings
from llmops.slo import Guard
from llmops.store import JournalFollower, Retention, Store
from llmops.watching.cards import Cards, VramSource
from llmops.watching.gauges import Gauges
from llmops.watching.judging import Judge
from llmops.watching.keeping import Keeper
from llmops.watching.ledger import Ledger
from llmops.watching.looking import Watch
from llmops.watching.recording import RecordKeeper
from llmops.watching.surroundings import Surroundings
from llmops.watching.telling import Teller
from tests.alerts.test_serving import snapshot
from tests.store.events import lines

NOW = 1_700_000_000.0
AVAILABILITY, LATENCY, FIRST_TOKEN, SPEED = objectives_of(ObjectiveSettings())
OBJECTIVES = (AVAILABILITY, LATENCY)
"""Requests of most tests have no first token, and one that failed without is bad for that objective too."""
ORIGIN = Origin(service_name="watch", service_version="0", instance_id="w", host_name="h", host_id="h", process_id=1)


class Journal:
    """The sink of watch's own events: a file in the folder that it follows."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def write(self, documents: object) -> None:
        with self.path.open("ab") as file:
            file.write(lines(list(documents)))  # type: ignore[call-overload]

    def close(self) -> None:
        """Nothing is kept open."""


class Ear:
    """Remembers what people were told."""

    name = "ear"

    def __init__(self) -> None:
        self.heard: list[Notification] = []

    def deliver(self, notification: Notification) -> None:
        self.heard.append(notification)


class Bench:
    """Everything around one watch."""

    def __init__(self, folder: Path, store: Store, *, name: str = "watch") -> None:
        self.folder = folder
        folder.mkdir(exist_ok=True)
        self.now = NOW
        self.stopwatch: Callable[[], float] | None = None
        self.keep_bytes, self.max_bytes = 8 << 30, 32 << 30
        self.room = (500 << 30, 1000 << 30)
        self.vram_source: VramSource = "nvml_used"
        self.skew_s = 0.0
        self.answer: ServeSnapshot | Exception = snapshot()
        self.ear = Ear()
        self.store = store
        self.bus = Bus(ORIGIN, [Journal(folder / f"{name}.jsonl")])
        self.orders = Orders()
        self.pace = Pace(group_wait_s=0.0, group_interval_s=0.0)
        self.watch = self.build(store)

    def build(self, store: Store, keeper: Keeper | None = None) -> Watch:
        return Watch(
            store=store,
            follower=JournalFollower(self.folder, store),
            bus=self.bus,
            probe=self.probe,
            judge=Judge(store, OBJECTIVES, Guard()),
            record=RecordKeeper(store, self.bus, self.retention(store), max_bytes=self.max_bytes),
            teller=self.teller(store),
            gauges=self.gauges(store),
            serve_down_for_s=5.0,
            keeper=keeper,
            clock=lambda: self.now,
            stopwatch=self.stopwatch,
        )

    def restart(self, store: Store | None = None) -> None:
        """The watch ends as it does on SIGTERM, and another one begins."""
        self.watch.close()
        self.watch = self.build(store or self.store)

    def teller(self, store: Store) -> Teller:
        return Teller(store, self.bus, self.channels, words=notification_of, orders=lambda: self.orders, pace=self.pace)

    def gauges(self, store: Store) -> Gauges:
        state = self.folder.parent
        around = Surroundings(store, state, state / "ship", room=lambda _: self.room)
        return Gauges(Cards(store, source=self.vram_source).rules, Ledger(store).rules, around.rules)

    def channels(self, report: Callable[[Delivered], None]) -> Delivery:
        self.delivery = Delivery([self.ear], report)
        return self.delivery

    def retention(self, store: Store) -> Retention:
        shipped = self.folder.parent / "ship" / "checkpoint.json"
        return Retention(self.folder, store, keep_bytes=self.keep_bytes, max_bytes=self.max_bytes, shipped=shipped)

    def probe(self) -> ServeSnapshot:
        if isinstance(self.answer, Exception):
            raise self.answer
        return dataclasses.replace(self.answer, at=self.now + self.skew_s)

    def serve_is_gone(self) -> None:
        self.answer = ServeUnreachable("http://127.0.0.1:1", "nothing listens there")

    def write(self, documents: list[Document]) -> None:
        with (self.folder / "serve.jsonl").open("ab") as file:
            file.write(lines(documents))

    def looks(self, seconds: int) -> None:
        """One look each second."""
        for _ in range(seconds):
            self.watch.tick()
            self.now += 1.0

    def told(self) -> list[str]:
        """What people heard, as `action rule`, once delivery has settled."""
        self.settle(lambda: self.delivery.is_idle)
        return [f"{notice.action} {notice.rule_id}" for notice in self.notices]

    @property
    def notices(self) -> list[Notice]:
        """What people heard of each alert, in order."""
        return [notice for heard in self.ear.heard for notice in heard.notices]

    def settle(self, is_settled: Callable[[], bool]) -> None:
        """Wait for the bus's own thread."""
        deadline = time.monotonic() + 5
        while not is_settled() and time.monotonic() < deadline:
            time.sleep(0.01)
        assert is_settled()

    def close(self) -> None:
        self.watch.close()
        self.bus.close()
        self.store.close()


def with_memory(used: float) -> ServeSnapshot:
    """A serve whose card is filled to this share."""
    card = DeviceSnapshot(
        id="GPU-0", name="card", type="gpu", memory_used_bytes=int(used * 1000), memory_limit_bytes=1000
    )
    ram = DeviceSnapshot(id="system", name="ram", type="system", memory_used_bytes=99, memory_limit_bytes=100)
    return dataclasses.replace(snapshot(), devices=(card, ram))
