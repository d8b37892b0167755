"""The bus: takes an event in microseconds on the request path, and writes it to every sink on its own thread."""

from __future__ import annotations

import asyncio
import collections
import contextlib
import dataclasses
import logging
import operator
import threading
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol, TypeAlias, runtime_checkable

from llmops.events.documents import Event
from llmops.events.names import Document
from llmops.events.origin import Origin

Emit: TypeAlias = Callable[[Event], None]
"""What a station that makes events is given: never blocks, never raises."""
Record: TypeAlias = Callable[[Event], Awaitable[None]]
"""As Emit, and returns when the event is written, or cannot be written at once."""

_log = logging.getLogger(__name__)
_BATCH = 512
_WARN_EVERY_S = 30.0
_TICK_S = 1.0
_STUCK_S = 5.0
_GATHER_S = 0.02
"""A burst is written together and after its answers: its writing would take the interpreter from those who answer."""
RECORDED_WITHIN_S = 0.1
"""No longer does an answer wait for its event where the thread must write it: a disk may be slow, or hang."""
_ENDED = "the thread that writes events has ended; restart the process"


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


@runtime_checkable
class RecordSink(Sink, Protocol):
    """A sink that can take a document at once, on the thread of whoever emits it."""

    def write_now(self, document: Document) -> bool:
        """Write it without waiting for anything. False: that cannot be done now, and nothing was written."""

    def written(self, documents: Sequence[Document]) -> None:
        """What else it does with documents that `write_now` took. Called on the bus's thread."""


@dataclasses.dataclass(frozen=True, slots=True)
class _Written:
    """A document that the first sink has, and the others have not."""

    document: Document


class _Mark:
    """A place in the queue that a coroutine waits for."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self.passed: asyncio.Future[None] = loop.create_future()

    def reach(self) -> None:
        """From any thread; a loop that has ended meanwhile waits for nothing."""
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self.passed.set_result, None)


class Bus:
    """Bounded, never blocking: at `capacity` waiting events the newest is dropped and counted."""

    def __init__(self, origin: Origin, sinks: Sequence[Sink], *, capacity: int = 10_000) -> None:
        self.origin = origin
        self._sinks = tuple(sinks)
        self._ticking = tuple(sink for sink in sinks if isinstance(sink, TickingSink))
        self._capacity = capacity
        self._record = sinks[0] if sinks and isinstance(sinks[0], RecordSink) else None
        self._waiting: collections.deque[Event | _Written | _Mark] = collections.deque()
        self._wake = threading.Event()
        self._hurry = threading.Event()
        self._closing = False
        self._closed = False
        self._counting = threading.Lock()
        self.dropped = 0
        self.failed_writes = 0
        self._warned_at = -_WARN_EVERY_S
        self._ticked_at = time.monotonic()
        self._writing_since: float | None = None
        self._thread = self._started()

    def emit(self, event: Event) -> None:
        """Hand an event over. Never blocks and never raises: when the bus is full it is counted as dropped."""
        if self._closing or len(self._waiting) >= self._capacity:
            with self._counting:
                self.dropped += 1
            return
        self._waiting.append(event)
        if not self._wake.is_set():  # the thread clears it before it looks, so a set one is still ahead of its look
            self._wake.set()

    async def record(self, event: Event, within_s: float = RECORDED_WITHIN_S) -> None:
        """Hand an event over, and return when the first sink has it. Where that cannot take it at once, its turn on
        the thread is waited for, `within_s` at most; while events cannot be written, nothing is."""
        if self._write_now(event):
            return
        self.emit(event)
        if self._closing or self.trouble is not None:
            return
        mark = _Mark(asyncio.get_running_loop())
        self._waiting.append(mark)
        self._hurry.set()
        self._wake.set()
        await asyncio.wait((mark.passed,), timeout=within_s)

    def _write_now(self, event: Event) -> bool:
        if self._record is None or self._closing:
            return False
        try:
            document = self.origin.document(event)
            if not self._record.write_now(document):
                return False
        except Exception:  # the thread meets the same, and counts it
            return False
        self._waiting.append(_Written(document))
        self._wake.set()
        return True

    @property
    def is_alive(self) -> bool:
        """False once the thread that writes has ended without being asked to: from then on nothing is written."""
        return self._closing or self._thread.is_alive()

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
        if not self.is_alive:
            return _ENDED
        since = self._writing_since
        if since is not None and (stuck_s := time.monotonic() - since) > _STUCK_S:
            return f"writing has not come back for {stuck_s:.0f} s"
        return next((trouble for sink in self._sinks if (trouble := getattr(sink, "trouble", None))), None)

    def close(self, timeout_s: float = 5.0) -> bool:
        """Write what is waiting and close the sinks; True when all of it was written in time. What a thread that
        ended left behind is written by another one."""
        self._closing = True
        if not (self._thread.is_alive() or self._closed):
            self._thread = self._started()
        self._hurry.set()
        self._wake.set()
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _started(self) -> threading.Thread:
        thread = threading.Thread(target=self._run, name="llmops-events", daemon=True)
        thread.start()
        return thread

    def _run(self) -> None:
        try:
            self._write_all()
        except BaseException as error:  # no sink may raise these: the thread ends, and `is_alive` says so
            self._writing_since = None
            _log.critical(_ENDED, exc_info=error)

    def _write_all(self) -> None:
        while not (self._closing and not self._waiting):
            if self._wake.wait(_TICK_S):
                self._hurry.wait(_GATHER_S)
            self._hurry.clear()
            self._wake.clear()
            while self._waiting:
                self._write(*self._take())
                self._tick_when_due()
            self._tick_when_due()
        self._tell(self._sinks, operator.methodcaller("close"))
        self._closed = True

    def _write(self, everything: list[Document | _Written], marks: list[_Mark]) -> None:
        """To the first sink, which is the record; then those who wait for that may go on; then to the others."""
        written = [each.document for each in everything if isinstance(each, _Written)]
        documents = [each for each in everything if not isinstance(each, _Written)]
        in_order = [each.document if isinstance(each, _Written) else each for each in everything]
        self._writing_since = time.monotonic()
        failures = 1  # whatever ends the thread meanwhile, these documents are counted
        try:
            failures = self._hand(self._sinks[:1], documents)
            for mark in marks:
                mark.reach()
            if written:
                self._tell(self._sinks[:1], operator.methodcaller("written", written))
            failures += self._hand(self._sinks[1:], in_order)
        finally:
            self.failed_writes += failures * len(documents)
        self._writing_since = None

    def _hand(self, sinks: Sequence[Sink], documents: list[Document]) -> int:
        return self._tell(sinks, operator.methodcaller("write", documents)) if documents else 0

    def _tick_when_due(self) -> None:
        now = time.monotonic()
        if now - self._ticked_at >= _TICK_S:
            self._ticked_at = self._writing_since = now
            self._tell(self._ticking, operator.methodcaller("tick"))
            self._writing_since = None

    def _take(self) -> tuple[list[Document | _Written], list[_Mark]]:
        """The next documents in order, and the marks between them; an event that cannot be written down is counted,
        not fatal."""
        documents: list[Document | _Written] = []
        marks: list[_Mark] = []
        for _ in range(min(len(self._waiting), _BATCH)):
            event = self._waiting.popleft()
            if isinstance(event, _Mark):
                marks.append(event)
                continue
            if isinstance(event, _Written):
                documents.append(event)
                continue
            try:
                documents.append(self.origin.document(event))
            except Exception as error:
                self.failed_writes += 1
                self._complain(type(event).__name__, error)
        return documents, marks

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
