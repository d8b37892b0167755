"""Sets a damaged SQLite file aside with its log, under a name that no file has."""

from __future__ import annotations

import logging
import os
from pathlib import Path

from llmops.store.errors import StoreUnavailable

_MOST = 5
"""A disk that damages every new file must not be filled with them."""
_log = logging.getLogger(__name__)


def set_aside(path: Path, problem: str) -> None:
    """Rename the file and its `-wal`; nothing is overwritten or deleted but `-shm`, which SQLite makes from `-wal`.

    `problem`: the rest of a sentence about the file. Raises OSError, and StoreUnavailable when five are kept already.
    """
    target = _free_name(path, problem)
    for suffix in ("-wal", ""):  # the log first: SQLite deletes one that it finds beside an empty file
        source = Path(f"{path}{suffix}")
        if os.path.lexists(source):
            source.rename(f"{target}{suffix}")
    Path(f"{path}-shm").unlink(missing_ok=True)
    _log.warning("%s %s: it is kept as %s and rebuilt from the journal.", path, problem, target.name)


def _free_name(path: Path, problem: str) -> Path:
    for number in range(1, _MOST + 1):
        target = path.with_name(f"{path.name}.old" if number == 1 else f"{path.name}.old.{number}")
        if not any(os.path.lexists(f"{target}{suffix}") for suffix in ("", "-wal", "-shm")):
            return target
    raise StoreUnavailable(
        f"{path} {problem}, and {_MOST} damaged records are kept beside it: check the disk, and move {path.name}.old* "
        "away.",
        "too many damaged records",
    )
