"""The file of silences and acknowledgements in the state directory: changed by `llmops alerts`, followed by watch."""

from __future__ import annotations

import contextlib
import fcntl
import json
import logging
import os
from collections.abc import Callable, Iterator
from pathlib import Path

from llmops.alerts.errors import BadOrders
from llmops.alerts.quiet import Orders

_log = logging.getLogger(__name__)


class QuietFile:
    """`silences.json`, readable by its owner only, replaced as a whole. No file means no silence."""

    def __init__(self, directory: Path) -> None:
        self.path = directory / "silences.json"
        self._orders = Orders()
        self._seen: tuple[int, ...] | None = None

    def read(self) -> Orders:
        """What the file says now. Raises BadOrders with one sentence."""
        try:
            return Orders.from_json(json.loads(self.path.read_text(encoding="utf-8")))
        except FileNotFoundError:
            return Orders()
        except (OSError, ValueError, BadOrders, RecursionError) as error:
            raise BadOrders(
                f"The silences in {self.path} cannot be read: {error}. Restore that file, or delete it to begin anew."
            ) from None

    def orders(self) -> Orders:
        """What counts now, at the price of one `stat`.

        A file that can no longer be read is told to the log once, and what was read before it stays in force.
        """
        seen = self._look()
        if seen != self._seen:
            self._seen = seen
            try:
                self._orders = self.read()
            except BadOrders as error:
                _log.error("%s Until then what was read before it stays in force.", error)
        return self._orders

    def change(self, how: Callable[[Orders], Orders]) -> Orders:
        """Read, change, write, and nobody in between. Raises BadOrders or OSError."""
        self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with self._alone():
            orders = how(self.read())
            self._write(orders)
            return orders

    def _look(self) -> tuple[int, ...] | None:
        try:
            found = self.path.stat()
        except OSError:
            return None
        return found.st_mtime_ns, found.st_ino, found.st_size

    def _write(self, orders: Orders) -> None:
        fresh = self.path.with_suffix(f".{os.getpid()}")
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            json.dump(orders.to_json(), file, indent=1)
            file.flush()
            os.fsync(descriptor)
        fresh.replace(self.path)

    @contextlib.contextmanager
    def _alone(self) -> Iterator[None]:
        with self.path.with_suffix(".lock").open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
