"""A file that says which serve runs on a port, and so, to the next one, how the last one ended."""

from __future__ import annotations

import contextlib
import json
import logging
import os
from pathlib import Path
from typing import Any, Literal

import psutil

from llmops.state.deferred import DeferredWrites
from llmops.state.files import FileTooLarge, UnusableFile, read_private, replace

PreviousExit = Literal["none", "clean", "crash"]
_MOST_BYTES = 1 << 16
_log = logging.getLogger(__name__)


class RunFile:
    """`serve-<port>.json` in the run folder: written at the start, marked at a clean end, left behind by a crash.

    A full or read-only disk does not raise: the file is written later, or not at all.
    """

    def __init__(self, directory: Path, port: int, deferred: DeferredWrites | None = None) -> None:
        self._path = directory / f"serve-{port}.json"
        self._deferred = deferred or DeferredWrites()

    def begin(self, *, instance_id: str, url: str) -> PreviousExit:
        """Say that this process serves now; returns how the one before it ended. Raises UnusableFile or OSError for
        what does not pass, such as a link or a folder of another user."""
        previous = self._previous()
        # The start time tells this process from a later one that is given the same number.
        me = os.getpid()
        content = {"instance_id": instance_id, "url": url, "process_id": me, "started": _started(me)}
        self._deferred.write(str(self._path), lambda: self._write(content))
        return previous

    def end(self) -> None:
        """Say that it ended as it should. Where the disk refuses even that, no file is better than one that looks like
        a crash."""
        try:
            self._deferred.forget(str(self._path))
            self._write({"exit": "clean"})
        except OSError as error:
            _log.warning("%s cannot be written: %s", self._path, error.strerror or error)
            with contextlib.suppress(OSError):
                self._path.unlink(missing_ok=True)

    def _previous(self) -> PreviousExit:
        try:
            last: dict[str, Any] = json.loads(read_private(self._path, most_bytes=_MOST_BYTES))
            if last.get("exit") == "clean":
                return "clean"
            alive = _started(int(last["process_id"])) == last["started"]
        except FileNotFoundError:
            return "none"
        except FileTooLarge:
            return "crash"
        except UnusableFile:
            raise
        except (OSError, ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError):
            return "crash"  # torn by whatever ended its writer
        return "none" if alive else "crash"

    def _write(self, content: dict[str, Any]) -> None:
        replace(self._path, json.dumps(content).encode())


def _started(process_id: int) -> float | None:
    try:
        return float(psutil.Process(process_id).create_time())
    except (psutil.Error, ValueError):
        return None
