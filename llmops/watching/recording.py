"""Watches over the record itself: keeps the journal within its bounds, and finds where it fails or has holes."""

from __future__ import annotations

import contextlib
import logging

from llmops.alerts.recording import Disk, Writer, journal_finding, loss_finding, told
from llmops.alerts.rules import Finding
from llmops.events import Bus
from llmops.events.snapshot import ServeSnapshot
from llmops.store import Store
from llmops.store.retention import Retention
from llmops.watching.failures import log_failure
from llmops.watching.kept import KeptState

_TOLD = "record.lost"
_TRIM_EVERY_S = 10.0
_log = logging.getLogger(__name__)


class RecordKeeper:
    """Looks at serve's writing, at watch's own, and at the disk. Never raises: a full disk must not hide an alert."""

    def __init__(self, store: Store, bus: Bus, retention: Retention, *, max_bytes: int) -> None:
        self._kept = KeptState(store, _TOLD)
        self._bus = bus
        self._retention = retention
        self._max_bytes = max_bytes
        self._used_bytes = 0
        self._removed = 0
        self._trimmed_at: float | None = None
        self._told: dict[str, int] | None = None

    def findings(self, answer: ServeSnapshot | str, now: float) -> list[Finding]:
        """Both rules at this moment; removes old files of the journal when it is time."""
        self._trim(now)
        writers = [_own(self._bus), *([] if isinstance(answer, str) else [_serve(answer)])]
        is_complete = not isinstance(answer, str)
        disk = Disk(used_bytes=self._used_bytes, max_bytes=self._max_bytes)
        known = self._known()
        found = [
            journal_finding(writers, disk, is_complete=is_complete),
            loss_finding(known, writers, self._removed),
        ]
        self._removed = 0
        self._told = told(known, writers, is_complete=is_complete)
        self._save()
        return found

    def _trim(self, now: float) -> None:
        if self._trimmed_at is not None and 0 <= now - self._trimmed_at < _TRIM_EVERY_S:
            return
        self._trimmed_at = now
        try:
            trimmed = self._retention.trim()
        except Exception as error:
            log_failure(_log, "old files of the journal could not be removed", error)
            return
        self._used_bytes, self._removed = trimmed.size_bytes, self._removed + trimmed.lost

    def _known(self) -> dict[str, int]:
        """What was told before a restart too; what cannot be read back is told again."""
        if self._told is None:
            try:
                self._told = {str(name): int(count) for name, count in (self._kept.load() or {}).items()}
            except Exception:  # a store that fails is told elsewhere
                self._told = {}
        return self._told

    def _save(self) -> None:
        if self._told is None:
            return
        with contextlib.suppress(Exception):  # a store that fails is told elsewhere, and this is tried at the next look
            self._kept.save(self._told)


def _serve(answer: ServeSnapshot) -> Writer:
    return Writer(
        name="serve",
        instance_id=answer.instance_id,
        waiting=answer.events_waiting,
        lost=answer.events_dropped,
        trouble=answer.events_trouble,
    )


def _own(bus: Bus) -> Writer:
    return Writer(
        name="watch",
        instance_id=bus.origin.instance_id,
        waiting=bus.waiting,
        lost=bus.lost,
        trouble=bus.trouble,
    )
