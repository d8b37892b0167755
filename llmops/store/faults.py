"""What an error of SQLite says about the file: damage, which is proven, or trouble, which passes."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from llmops.store.errors import StoreUnavailable, StoreUnreadable

_DAMAGE = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
_LOCKED = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
_TROUBLE = (
    *_LOCKED,
    *(sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN),
    *(sqlite3.SQLITE_PERM, sqlite3.SQLITE_NOMEM, sqlite3.SQLITE_PROTOCOL),
)


def code_of(error: sqlite3.Error) -> int:
    """The primary result code of SQLite; 0 where the error has none."""
    return int(getattr(error, "sqlite_errorcode", 0)) & 0xFF


def is_damage(error: sqlite3.Error) -> bool:
    """The file itself is broken. A disk that is full, read-only or failing proves nothing about the file."""
    return code_of(error) in _DAMAGE


def is_trouble(error: sqlite3.Error) -> bool:
    """The disk or another program refuses: the file may be sound, and trying again may help."""
    return code_of(error) in _TROUBLE


def is_locked(error: sqlite3.Error) -> bool:
    """Another program holds a lock on the file."""
    return code_of(error) in _LOCKED


def unavailable(path: Path, error: sqlite3.Error) -> StoreUnavailable:
    """For trouble that a writer waits out."""
    hint = "end the program that holds it" if is_locked(error) else "see whether its disk is full, read-only or failing"
    return StoreUnavailable(f"The record at {path} cannot be used now ({error}): {hint}.", str(error))


def unreadable(path: Path, error: sqlite3.Error) -> StoreUnreadable:
    """For a reader."""
    if is_trouble(error):
        return unavailable(path, error)
    hope = ": `llmops watch` rebuilds it" if is_damage(error) else ""
    return StoreUnreadable(f"The record at {path} cannot be read ({error}){hope}.")
