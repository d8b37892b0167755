"""Where overviews come from: the store and a serve, or a recording; and the one thread that waits for them."""

from __future__ import annotations

import functools
import queue
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

from textual.message import Message

from llmops.client import fetch_snapshot
from llmops.events import Document
from llmops.events.documents import RequestEvent
from llmops.events.names import name_of
from llmops.overview import Overview, look
from llmops.settings import ObjectiveSettings
from llmops.store.contract import Store
from llmops.store.errors import StoreUnreadable
from llmops.store.sqlite import open_store
from llmops.tui.messages import FeedFailed, FoundRequest, Looked

_REOPEN_EVERY_S = 2.0


class Feed(Protocol):
    """Gives looks. Used by one thread only."""

    def look(self, now: float) -> Overview:
        """Everything at this moment; may take a while."""

    def request(self, request_id: str) -> Sequence[Document]:
        """The documents of one request, newest first."""

    def close(self) -> None:
        """Release files."""


class LiveFeed:
    """The store on disk and the serve at `url`; either may come later or go away."""

    def __init__(self, url: str, store_path: Path, objectives: ObjectiveSettings, api_key: str | None = None) -> None:
        self._url = url
        self._fetch = functools.partial(fetch_snapshot, api_key=api_key)
        self._path = store_path
        self._objectives = objectives
        self._store: Store | None = None
        self._previous: Overview | None = None
        self._tried_at = -_REOPEN_EVERY_S

    def look(self, now: float) -> Overview:
        """Store and serve as they are now."""
        try:
            self._open()
            self._previous = self._ask(now)
        except StoreUnreadable:  # the screen goes on with what serve says, and the store is tried again
            self.close()
            self._previous = self._ask(now)
        return self._previous

    def _ask(self, now: float) -> Overview:
        return look(
            self._store, self._url, now, objectives=self._objectives, previous=self._previous, fetch=self._fetch
        )

    def request(self, request_id: str) -> Sequence[Document]:
        """From the store; nothing while there is none."""
        self._open()
        return self._store.request(request_id) if self._store else ()

    def close(self) -> None:
        """Close the store."""
        if self._store:
            self._store.close()
        self._store = None

    def _open(self) -> None:
        elapsed_s = time.monotonic() - self._tried_at
        if self._store is None and elapsed_s >= _REOPEN_EVERY_S and self._path.exists():
            self._tried_at = time.monotonic()
            self._store = open_store(self._path, read_only=True)


class RecordedFeed:
    """Overviews made before, one a tick, the last one for ever: replay and demonstrations."""

    def __init__(self, overviews: Sequence[Overview], documents: Sequence[Document] = ()) -> None:
        self._overviews = list(overviews)
        self._documents = documents
        self.looks = 0

    def look(self, now: float) -> Overview:
        """The next one."""
        self.looks += 1
        return self._overviews[min(self.looks, len(self._overviews)) - 1]

    def request(self, request_id: str) -> Sequence[Document]:
        """Out of the recorded documents."""
        field = name_of(RequestEvent, "request_id")
        return [document for document in self._documents if document.get(field) == request_id]

    def close(self) -> None:
        """Nothing to release."""


class FeedThread:
    """Asks a feed at its pace and posts what it says; touches no widget. Questions are answered between looks."""

    def __init__(self, feed: Feed, post: Callable[[Message], object], refresh_s: float) -> None:
        self._feed = feed
        self._post = post
        self.refresh_s = refresh_s
        self._questions: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._closing = False
        self._thread = threading.Thread(target=self._run, name="llmops-feed", daemon=True)

    def start(self) -> None:
        """Begin looking."""
        self._thread.start()

    def ask(self, request_id: str) -> None:
        """A FoundRequest for this id will be posted."""
        self._questions.put(request_id)

    def hurry(self) -> None:
        """Look now instead of at the next tick."""
        self._questions.put(None)

    def close(self, timeout_s: float = 2.0) -> None:
        """Stop looking; a look that hangs is left behind."""
        self._closing = True
        self._questions.put(None)
        self._thread.join(timeout_s)

    def _run(self) -> None:
        while not self._closing:
            began = time.monotonic()
            self._report(self._look)
            self._wait_until(began + self.refresh_s)
        self._feed.close()

    def _wait_until(self, deadline: float) -> None:
        while not self._closing and (left_s := deadline - time.monotonic()) > 0:
            try:
                request_id = self._questions.get(timeout=left_s)
            except queue.Empty:
                return
            if request_id is None:
                return
            self._report(functools.partial(self._find, request_id))

    def _find(self, request_id: str) -> Message:
        return FoundRequest(request_id, self._feed.request(request_id))

    def _look(self) -> Message:
        began = time.perf_counter()
        overview = self._feed.look(time.time())
        return Looked(overview, time.perf_counter() - began)

    def _report(self, make: Callable[[], Message]) -> None:
        """Post what `make` gives, or why it could not: a locked or damaged store must not end the thread."""
        try:
            message = make()
        except Exception as error:
            message = FeedFailed(str(error) or type(error).__name__)
        if not self._closing:
            self._post(message)
