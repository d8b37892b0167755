"""The live feed: the latest documents at once, then each new one as it is written, as server-sent events."""

from __future__ import annotations

import asyncio
import collections
import json
import threading
from collections.abc import AsyncGenerator, Sequence

from llmops.events import Document

BACKLOG = 200
_WAITING = 1_000
_KEEPALIVE_S = 15.0


class LiveFeed:
    """A sink of the bus with any number of listeners. A listener too slow for the feed loses the oldest events."""

    def __init__(self, *, backlog: int = BACKLOG) -> None:
        self._backlog: collections.deque[Document] = collections.deque(maxlen=backlog)
        self._listeners: set[_Listener] = set()
        self._lock = threading.Lock()

    def write(self, documents: Sequence[Document]) -> None:
        """Called on the bus's thread."""
        with self._lock:
            self._backlog.extend(documents)
            listeners = tuple(self._listeners)
        for listener in listeners:
            listener.offer(documents)

    def close(self) -> None:
        """Tell every listener that nothing more will come."""
        with self._lock:
            listeners = tuple(self._listeners)
        for listener in listeners:
            listener.offer(())

    async def events(self) -> AsyncGenerator[bytes, None]:
        """The backlog, then what comes, as SSE; a comment line in every 15 s of silence."""
        listener = _Listener(asyncio.get_running_loop())
        with self._lock:
            listener.take(tuple(self._backlog))
            self._listeners.add(listener)
        try:
            while (document := await listener.next()) is not None:
                yield b": quiet\n\n" if not document else _encode(document)
        finally:
            with self._lock:
                self._listeners.discard(listener)


class _Listener:
    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._waiting: collections.deque[Document] = collections.deque(maxlen=_WAITING)
        self._wake = asyncio.Event()
        self._ended = False

    def offer(self, documents: Sequence[Document]) -> None:
        """From any thread; an empty offer ends the feed."""
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self.take, documents)

    def take(self, documents: Sequence[Document]) -> None:
        self._waiting.extend(documents)
        self._ended = self._ended or not documents
        self._wake.set()

    async def next(self) -> Document | None:
        """The next document; an empty one after 15 s of silence; None at the end."""
        while not self._waiting:
            if self._ended:
                return None
            self._wake.clear()
            try:
                await asyncio.wait_for(self._wake.wait(), _KEEPALIVE_S)
            except TimeoutError:
                return {}
        return self._waiting.popleft()


def _encode(document: Document) -> bytes:
    return f"id: {document['event.id']}\ndata: {json.dumps(document, separators=(',', ':'))}\n\n".encode()
