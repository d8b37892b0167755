"""The bus: takes an event in microseconds on the request path, and writes it to every sink on its own thread."""

from __future__ import annotations

import collections
import logging
import operator
import threading
import time
from collections.abc import Callable, Sequence
from typing import Protocol, TypeAlias, runtime_checkable

from llmops.events.documents import Event
from llmops.events.names import Document
from llmops.events.origin import Origin

Emit: TypeAlias = Callable[[Event], None]
"""What a station that makes events is given: never blocks, never raises."""

_log = logging.getLogger(__name__)
_BATCH = 512
_WARN_EVERY_S = 30.0
_TICK_S = 1.0
_STUCK_S = 5.0
_GATHER_S = 0.02
"""A burst is written together and after its answers: its writing would take the interpreter from those who answer."""


class Sink(Protocol):
    """A place where documents go. Called on the bus's thread only; may be slow, may raise."""

    def write(self, documents: Sequence[Document]) -> None:
        """Take these documents, in order; at least one."""

    def close(self) -> None:
        """Everything written so far is safe when this returns."""


@runtime_checkable
class TickingSink(Sink, Protocol):
    """A sink that has something to do in quiet times too: to try again, to force to disk."""

    def tick(self) -> None:
        """Called about once a second, whether there are events or not. May raise."""


class Bus:
    """Bounded, never blocking: at `capacity` waiting events the newest is dropped and counted."""

    def __init__(self, origin: Origin, sinks: Sequence[Sink], *, capacity: int = 10_000) -> None:
        self.origin = origin
        self._sinks = tuple(sinks)
        self._ticking = tuple(sink for sink in sinks if isinstance(sink, TickingSink))
        self._capacity = capacity
        self._waiting: collections.deque[Event] = collections.deque()
        self._wake = threading.Event()
        self._closing = False
        self._counting = threading.Lock()
        self.dropped = 0
        self.failed_writes = 0
        self._warned_at = -_WARN_EVERY_S
        self._ticked_at = time.monotonic()
        self._writing_since: float | None = None
        self._thread = threading.Thread(target=self._run, name="llmops-events", daemon=True)
        self._thread.start()

    def emit(self, event: Event) -> None:
        """Hand an event over. Never blocks and never raises: when the bus is full it is counted as dropped."""
        if self._closing or len(self._waiting) >= self._capacity:
            with self._counting:
                self.dropped += 1
            return
        self._waiting.append(event)
        if not self._wake.is_set():  # the thread clears it before it looks, so a set one is still ahead of its look
            self._wake.set()

    @property
    def lost(self) -> int:
        """Events that are nowhere: dropped here, not written, or given up by a sink that counts its own losses."""
        return self.dropped + self.failed_writes + sum(getattr(sink, "lost", 0) for sink in self._sinks)

    @property
    def waiting(self) -> int:
        """Events that are in memory only: those on their way here, and those that a sink could not write yet."""
        return len(self._waiting) + sum(getattr(sink, "waiting", 0) for sink in self._sinks)

    @property
    def trouble(self) -> str | None:
        """Why events wait, in a few words: what a sink says of its disk, or that writing does not come back."""
        since = self._writing_since
        if since is not None and (stuck_s := time.monotonic() - since) > _STUCK_S:
            return f"writing has not come back for {stuck_s:.0f} s"
        return next((trouble for sink in self._sinks if (trouble := getattr(sink, "trouble", None))), None)

    def close(self, timeout_s: float = 5.0) -> bool:
        """Write what is waiting and close the sinks; True when all of it was written in time."""
        self._closing = True
        self._wake.set()
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _run(self) -> None:
        while not (self._closing and not self._waiting):
            if self._wake.wait(_TICK_S) and not self._closing:
                time.sleep(_GATHER_S)
            self._wake.clear()
            while self._waiting:
                if documents := self._take():
                    self._write(documents)
                self._tick_when_due()
            self._tick_when_due()
        self._tell(self._sinks, operator.methodcaller("close"))

    def _write(self, documents: list[Document]) -> None:
        self._writing_since = time.monotonic()
        failures = self._tell(self._sinks, operator.methodcaller("write", documents))
        self._writing_since = None
        self.failed_writes += failures * len(documents)

    def _tick_when_due(self) -> None:
        now = time.monotonic()
        if now - self._ticked_at >= _TICK_S:
            self._ticked_at = self._writing_since = now
            self._tell(self._ticking, operator.methodcaller("tick"))
            self._writing_since = None

    def _take(self) -> list[Document]:
        """The next documents in order; an event that cannot be written down is counted, not fatal."""
        documents: list[Document] = []
        for _ in range(min(len(self._waiting), _BATCH)):
            event = self._waiting.popleft()
            try:
                documents.append(self.origin.document(event))
            except Exception as error:
                self.failed_writes += 1
                self._complain(type(event).__name__, error)
        return documents

    def _tell(self, sinks: Sequence[Sink], what: Callable[[Sink], object]) -> int:
        """Tell each sink; one that raises does not keep the others from hearing it. Gives how many raised."""
        failures = 0
        for sink in sinks:
            try:
                what(sink)
            except Exception as error:
                failures += 1
                self._complain(type(sink).__name__, error)
        return failures

    def _complain(self, what: str, error: Exception) -> None:
        """Say what fails, at most every 30 s: a full disk must not fill it further with its own news."""
        now = time.monotonic()
        if now - self._warned_at >= _WARN_EVERY_S:
            self._warned_at = now
            _log.warning("%s could not be written down: %s", what, error)
