"""Is the file sound: SQLite's own look through its pages, for as long as there is patience."""

from __future__ import annotations

import contextlib
import sqlite3
import time
from pathlib import Path

from llmops.store.errors import StoreUnreadable
from llmops.store.opening import open_reader

_STEPS_BETWEEN_LOOKS = 10_000


def look_through(path: Path, *, limit_s: float) -> bool:
    """Whether all of it was looked at within `limit_s` seconds. Raises StoreUnreadable for a file that is damaged."""
    with contextlib.closing(open_reader(path)) as connection:
        deadline = time.monotonic() + limit_s
        connection.set_progress_handler(lambda: time.monotonic() > deadline, _STEPS_BETWEEN_LOOKS)
        try:
            ((told,),) = connection.execute("PRAGMA quick_check(1)").fetchall()
        except sqlite3.Error as error:
            if "interrupted" in str(error):
                return False
            told = str(error)
    if told != "ok":
        first = " ".join(str(told).split())
        raise StoreUnreadable(
            f"The record at {path} is damaged ({first}): `llmops watch` rebuilds it from the journal."
        )
    return True
