"""The file of silences and acknowledgements in the state directory: changed by `llmops alerts`, followed by watch."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from pathlib import Path

from llmops.alerts.errors import BadOrders
from llmops.alerts.quiet import Orders
from llmops.state.directory import require_safe
from llmops.state.files import UnusableFile
from llmops.statefile import Look, StateFile

_log = logging.getLogger(__name__)


class QuietFile:
    """`silences.json`. No file means no silence."""

    def __init__(self, directory: Path) -> None:
        self._file = StateFile(directory / "silences.json")
        self._orders = Orders()
        self._seen: Look = None

    @property
    def path(self) -> Path:
        """Where it is."""
        return self._file.path

    def read(self) -> Orders:
        """What the file says now. Raises BadOrders with one sentence."""
        try:
            text = self._file.read()
            return Orders() if text is None else Orders.from_json(json.loads(text))
        except UnusableFile as error:
            raise BadOrders(f"The silences in {self.path} are not used: {error}") from None
        except (OSError, ValueError, BadOrders, RecursionError) as error:
            raise BadOrders(
                f"The silences in {self.path} cannot be read: {error}. Restore that file, or delete it to begin anew."
            ) from None

    def orders(self) -> Orders:
        """What counts now, at the price of one `stat`.

        A file that can no longer be read is told to the log once, and what was read before it stays in force.
        """
        seen = self._file.look()
        if seen != self._seen:
            self._seen = seen
            try:
                self._orders = self.read()
            except BadOrders as error:
                _log.error("%s Until then what was read before it stays in force.", error)
        return self._orders

    def change(self, how: Callable[[Orders], Orders]) -> Orders:
        """Read, change, write, and nobody in between. Raises BadOrders or OSError."""
        require_safe(self.path.parent)
        with self._file.alone():
            orders = how(self.read())
            self._file.replace(json.dumps(orders.to_json(), indent=1))
            return orders
