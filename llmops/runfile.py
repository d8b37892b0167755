"""A file that says which serve runs on a port, and so, to the next one, how the last one ended."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any, Literal

import psutil

PreviousExit = Literal["none", "clean", "crash"]


class RunFile:
    """`serve-<port>.json` in the run folder: written at the start, marked at a clean end, left behind by a crash."""

    def __init__(self, directory: Path, port: int) -> None:
        self._path = directory / f"serve-{port}.json"

    def begin(self, *, instance_id: str, url: str) -> PreviousExit:
        """Say that this process serves now; returns how the one before it ended."""
        previous = self._previous()
        # The start time tells this process from a later one that is given the same number.
        me = os.getpid()
        self._write({"instance_id": instance_id, "url": url, "process_id": me, "started": _started(me)})
        return previous

    def end(self) -> None:
        """Say that it ended as it should."""
        self._write({"exit": "clean"})

    def _previous(self) -> PreviousExit:
        try:
            last: dict[str, Any] = json.loads(self._path.read_text(encoding="utf-8"))
            if last.get("exit") == "clean":
                return "clean"
            alive = _started(int(last["process_id"])) == last["started"]
        except FileNotFoundError:
            return "none"
        except (OSError, ValueError, KeyError, TypeError):
            return "crash"  # torn by whatever ended its writer
        return "none" if alive else "crash"

    def _write(self, content: dict[str, Any]) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        fresh = self._path.with_suffix(".tmp")
        fresh.write_text(json.dumps(content), encoding="utf-8")
        fresh.replace(self._path)


def _started(process_id: int) -> float | None:
    try:
        return float(psutil.Process(process_id).create_time())
    except psutil.Error:
        return None
