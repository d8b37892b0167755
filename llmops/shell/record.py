"""The record as verbs read it: as it stands, or why it cannot be read."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from llmops.store.contract import Store
from llmops.store.errors import StoreUnreadable
from llmops.store.sqlite import open_store


@contextlib.contextmanager
def readable_store(path: Path) -> Iterator[tuple[Store | None, str | None]]:
    """The record in this file, read only; or why there is none that can be read, as a sentence."""
    try:
        store = open_store(path, read_only=True)
    except StoreUnreadable as error:
        yield None, str(error)
        return
    with contextlib.closing(store):
        yield store, None
