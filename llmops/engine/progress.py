"""How far loading has come: one sentence for whoever asks, a log line now and then, and a way to give up."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from llmops.engine.errors import ModelNotLoaded

_log = logging.getLogger(__name__)
LOG_EVERY_S = 5.0


class Progress:
    """Written by the loading thread, read by any other."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.sentence = "The model is not loaded yet."
        self._clock = clock
        self._abandoned = False
        self._phase, self._total, self._detail = "", 0, ""
        self._told_at = clock()

    def begin(self, phase: str, total_bytes: int, detail: str = "") -> None:
        """A phase such as "Loading"; nothing of its bytes is done yet. Raises ModelNotLoaded when abandoned."""
        self._phase, self._total, self._detail = phase, total_bytes, detail
        self.at(0)

    def at(self, done_bytes: int) -> None:
        """So much is done. Logs at most every few seconds. Raises ModelNotLoaded when abandoned."""
        if self._abandoned:
            raise ModelNotLoaded("Loading was stopped.")
        percent = 100 * min(done_bytes, self._total) // self._total if self._total else 0
        size = f"{in_words(done_bytes)} of {in_words(self._total)}{self._detail}"
        self.sentence = f"{self._phase}: {percent} %"
        if self._clock() - self._told_at >= LOG_EVERY_S:
            self._told_at = self._clock()
            _log.info("%s (%s)", self.sentence, size)

    def abandon(self) -> None:
        """Whoever loads stops at the next look."""
        self._abandoned = True

    def watching(self, sizes: Mapping[str, int]) -> Callable[[Any, Any, Any], Any]:
        """A hook for the progress bars of transformers: its loop over the weights is counted, others stay silent."""

        def hook(factory: Any, args: Any, kwargs: Any) -> Any:
            if kwargs.get("desc") != "Loading weights":
                return factory(*args, **kwargs)
            return self._count(args[0], sizes)

        return hook

    def _count(self, parameters: Any, sizes: Mapping[str, int]) -> Iterator[Any]:
        """Families that rename or join what the file holds are counted by the piece."""
        each = self._total // max(1, len(parameters))
        done = 0
        for item in parameters:
            yield item
            done += sizes.get(item[0], each)
            self.at(min(done, self._total))


def in_words(size_bytes: float) -> str:
    """As in 1.02 GB or 29.4 MB; decimal units."""
    return f"{size_bytes / 1e9:.2f} GB" if size_bytes >= 1e9 else f"{size_bytes / 1e6:.1f} MB"
