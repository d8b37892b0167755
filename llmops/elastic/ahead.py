"""Gets the next thing while the one before it is used: the journal is read while the server works."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")


def ahead(items: Generator[T, None, None]) -> Iterator[T]:
    """The same items in the same order, one in advance, on a thread of its own; what getting one raises is raised."""
    with ThreadPoolExecutor(1, "llmops-ahead") as reader:
        try:
            coming = reader.submit(next, items, None)
            while (item := coming.result()) is not None:
                coming = reader.submit(next, items, None)
                yield item
        finally:
            reader.shutdown()
            items.close()
