"""The program that judges: watches serve and its record, and tells people what changed."""

from __future__ import annotations

import dataclasses
import logging
import signal
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from llmops.alerts.gauges import LEAK, Limits
from llmops.alerts.surroundings import SHIP_SILENT_S, DiskLimits, Room
from llmops.bench.schedule import Schedule
from llmops.client import fetch_snapshot
from llmops.events import Bus
from llmops.notifiers import BadChannel, Delivery, Notifier, notification_of
from llmops.overview.counting import counted_s
from llmops.overview.objectives import guard_of, objectives_of
from llmops.quietfile import QuietFile
from llmops.recording import open_record
from llmops.settings import Settings, StoreSettings
from llmops.slo import BadObjectives, Objective
from llmops.state.directory import require_safe
from llmops.state.files import is_passing, sentence_of
from llmops.store import JournalFollower, Kept, Retention, Store, StoreUnreadable, open_store
from llmops.untrusted import safe_line
from llmops.watching.benchmarks import schedule_benchmarks
from llmops.watching.canaries import schedule_canary
from llmops.watching.cards import Cards
from llmops.watching.channels import notifiers
from llmops.watching.gauges import Gauges, Rules, channel_rules, thread_rules
from llmops.watching.judging import Judge
from llmops.watching.keeping import Keeper
from llmops.watching.ledger import Ledger
from llmops.watching.lock import AlreadyWatched, WatchLock
from llmops.watching.looking import Watch
from llmops.watching.recording import RecordKeeper
from llmops.watching.surroundings import Surroundings
from llmops.watching.telling import Teller, pace_of

__all__ = ["Watch", "build", "run"]

PROBE_TIMEOUT_S = 2.0
_LOCK_RETRY_S = 1.0
_log = logging.getLogger(__name__)


def run(settings: Settings) -> int:
    """`llmops watch`: until SIGTERM or SIGINT. Exit status 2 when it cannot start."""
    stop = threading.Event()
    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: stop.set())
    try:
        channels = notifiers(settings)
        objectives = objectives_of(settings.objectives)
        require_safe(settings.state.directory)
        lock = _lock(settings.state.directory / "watch.lock", stop)
        if lock is None:
            return 0
        store = open_store(
            settings.state.store, slow_s=counted_s(objectives, "duration"), late_s=counted_s(objectives, "ttft")
        )
    except (BadChannel, BadObjectives, AlreadyWatched, StoreUnreadable) as error:
        sys.stderr.write(f"{safe_line(str(error))}\n")
        return 2
    except OSError as error:
        sys.stderr.write(f"{safe_line(sentence_of(error))}\n")
        return 2
    bus = open_record(settings, "watch")
    url = settings.watch.serve_url or settings.serve.url
    _log.info("watching %s, record in %s", url, settings.state.directory)
    benchmarks = schedule_benchmarks(settings.bench, url, settings.state.store, bus.emit, settings.watch.key)
    canary = schedule_canary(settings.canary, url, bus.emit, settings.watch.key)
    watch = build(settings, url, store, bus, objectives, channels, schedules=(benchmarks, canary))
    if settings.bench.enabled:
        benchmarks.start()
    if settings.canary.enabled:
        canary.start()
    watch.run(stop, settings.watch.interval_s)
    benchmarks.stop()
    canary.stop()
    watch.close()
    bus.close()
    watch.catch_up()
    store.close()
    lock.release()
    return 0


def _lock(path: Path, stop: threading.Event) -> WatchLock | None:
    """Wait while a full or read-only disk refuses even the folder; None when stopped meanwhile. Raises AlreadyWatched,
    or OSError that does not pass."""
    said = ""
    while True:
        try:
            return WatchLock(path)
        except OSError as error:
            if not is_passing(error):
                raise
            if (why := sentence_of(error)) != said:
                _log.error("watch waits for the state directory: %s", why)
            said = why
        if stop.wait(_LOCK_RETRY_S):
            return None


def build(
    settings: Settings,
    url: str,
    store: Store,
    bus: Bus,
    objectives: Sequence[Objective],
    channels: Sequence[Notifier],
    *,
    schedules: Sequence[Schedule] = (),
    clock: Callable[[], float] = time.time,
    stopwatch: Callable[[], float] = time.monotonic,
) -> Watch:
    """The parts, put together from the dials."""
    dials = settings.objectives
    teller = _teller(settings, store, bus, channels)
    threads = thread_rules(lambda: [*teller.ended, *(each.what for each in schedules if not each.is_alive)])
    own = {**threads, **channel_rules(lambda: (teller.failing, teller.is_idle))}
    return Watch(
        store=store,
        follower=JournalFollower(settings.state.journal, store),
        bus=bus,
        probe=lambda: fetch_snapshot(url, PROBE_TIMEOUT_S, settings.watch.key),
        judge=Judge(store, objectives, guard_of(dials)),
        record=RecordKeeper(store, bus, _retention(settings, store), max_bytes=settings.events.journal_max_bytes),
        teller=teller,
        gauges=_gauges(settings, store, own),
        serve_down_for_s=settings.watch.serve_down_for_s,
        serve_start_for_s=settings.watch.serve_start_for_s,
        keeper=Keeper(store, ages_s(settings.store)),
        clock=clock,
        stopwatch=stopwatch,
    )


def _teller(settings: Settings, store: Store, bus: Bus, channels: Sequence[Notifier]) -> Teller:
    language, state = settings.alerts.spoken, str(settings.state.directory)
    return Teller(
        store,
        bus,
        lambda report: Delivery(channels, report, retry_s=settings.alerts.group_interval_s),
        words=lambda message: notification_of(message, state=state, language=language),
        orders=QuietFile(settings.state.directory).orders,
        pace=pace_of(settings.alerts),
    )


def _gauges(settings: Settings, store: Store, threads: Rules) -> Gauges:
    dials, limits = settings.objectives, settings.gauges
    cards = Cards(
        store,
        source=dials.vram_source,
        memory=Limits(fire=dials.vram_fire, clear=dials.vram_clear, for_s=dials.vram_for_s, keep_s=dials.vram_keep_s),
        temperature=Limits(
            fire=limits.temperature_fire_c,
            clear=limits.temperature_clear_c,
            for_s=limits.temperature_for_s,
            keep_s=limits.temperature_keep_s,
        ),
    )
    ledger = Ledger(store, dataclasses.replace(LEAK, fire=limits.leak_fire, clear=limits.leak_clear))
    surroundings = Surroundings(
        store,
        settings.state.directory,
        settings.state.ship,
        disk=DiskLimits(
            ticket=Room(share=limits.disk_fire, size_bytes=limits.disk_fire_bytes),
            clear=Room(share=limits.disk_clear, size_bytes=limits.disk_clear_bytes),
        ),
        ship_silent_s=max(SHIP_SILENT_S, 3 * settings.elastic.poll_s, 3 * settings.elastic.longest_wait_s),
    )
    return Gauges(cards.rules, ledger.rules, surroundings.rules, threads)


def _retention(settings: Settings, store: Store) -> Retention:
    return Retention(
        settings.state.journal,
        store,
        keep_bytes=settings.events.journal_bytes,
        max_bytes=settings.events.journal_max_bytes,
        shipped=settings.state.ship / "checkpoint.json",
    )


def ages_s(dials: StoreSettings) -> dict[Kept, float]:
    """How old each kind may become, in seconds."""
    days: dict[Kept, float] = {
        "requests": dials.requests_d,
        "samples": dials.samples_d,
        "alerts": dials.alerts_d,
        "minutes": dials.minutes_d,
        "hours": dials.hours_d,
    }
    return {kept: 86400.0 * age_d for kept, age_d in days.items()}
