"""How far each journal file was shipped; written only when the server has answered for every line before it."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Iterable
from pathlib import Path

from llmops.state.files import read_private, replace

_VERSION = 1
_log = logging.getLogger(__name__)


class Checkpoints:
    """Bytes shipped of each file, by the id of its first event. On disk when `advance` returns. Any thread may call."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._bytes = read_checkpoints(path)
        self._writing = threading.Lock()

    def of(self, file: str) -> int:
        """Bytes of that file that the server has answered for; 0 for one never seen."""
        return self._bytes.get(file, 0)

    def advance(self, file: str, offset: int) -> None:
        """That far, durably: new content first, then its name. Raises OSError, and is then where it was."""
        with self._writing:
            fresh = {**self._bytes, file: offset}
            self._write(fresh)
            self._bytes = fresh

    def forget_all_but(self, files: Iterable[str]) -> None:
        """Let go of files that are no more; the next `advance` writes it down."""
        kept = set(files)
        self._bytes = {file: offset for file, offset in self._bytes.items() if file in kept}

    def _write(self, files: dict[str, int]) -> None:
        replace(self._path, json.dumps({"version": _VERSION, "files": files}, indent=1).encode())


def read_checkpoints(path: Path) -> dict[str, int]:
    """What the file says; empty where there is none or it can't be read: then the server is asked what it has."""
    try:
        content = json.loads(read_private(path))
        files = content["files"]
        if content["version"] != _VERSION or not isinstance(files, dict):
            raise ValueError("another version")
        return {str(file): max(0, int(offset)) for file, offset in files.items()}
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, KeyError, TypeError, OverflowError, RecursionError) as error:
        _log.warning("%s can't be read (%s): the server is asked what it has already.", path, error)
        return {}
