"""NVIDIA cards through NVML: handles are kept; what was pulled out, a lost driver and further cards are looked for."""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pynvml

from llmops.events import SampleEvent
from llmops.gpu.asking import DRIVER_GONE, no_driver
from llmops.gpu.card import Card
from llmops.gpu.identity import text
from llmops.gpu.samples import bare_sample
from llmops.gpu.xids import XidCount, XidWatch

_log = logging.getLogger(__name__)
_DRIVER_RETRY_S = 10.0
_CARD_RETRY_S = 60.0
"""To find a card again, all of NVML is opened anew, and the other cards' rates begin anew."""
_ATTACHED = Path("/proc/driver/nvidia/gpus")
"""Of NVIDIA's driver on Linux: one entry a card. NVML counts once, when it is opened."""


def attached_cards() -> int:
    """Cards that the driver has now; 0 where it does not say."""
    try:
        return sum(1 for _ in _ATTACHED.iterdir())
    except OSError:
        return 0


class NvmlSampler:
    """One event for each card and each MIG part. Raises SamplerUnavailable when there is no card at the start."""

    def __init__(
        self, clock: Callable[[], float] = time.monotonic, attached: Callable[[], int] = attached_cards
    ) -> None:
        self._clock = clock
        self._attached = attached
        self._attached_then = 0
        self._cards: list[Card] = []
        self._known: set[str] = set()
        self._xid_counts: dict[str, XidCount] = {}
        self._xids = XidWatch(self._xid_counts)
        self._retry_at = 0.0
        try:
            self._open()
        except pynvml.NVMLError as error:
            self.close()
            raise no_driver(error) from None

    def sample(self, now: float) -> Sequence[SampleEvent]:
        """Every card that answers; what is away is said once and looked for again."""
        had_cards = bool(self._cards)
        try:
            if self._is_one_more() or (len(self._cards) < len(self._known) and self._clock() >= self._retry_at):
                self._look_again()
            self._xids.look()
            return [sample for card in tuple(self._cards) for sample in self._ask(card, now)]
        except pynvml.NVMLError as error:
            if had_cards:
                _log.warning("the GPU driver went away (%s): trying again every %.0f s", error, _DRIVER_RETRY_S)
            self.close()
            self._retry_at = self._clock() + _DRIVER_RETRY_S
            return ()

    def close(self) -> None:
        """Shut NVML down. Idempotent."""
        listening, self._xids = self._xids, XidWatch(self._xid_counts)
        self._cards = []
        with contextlib.suppress(pynvml.NVMLError):  # it was not up
            listening.close()
        with contextlib.suppress(pynvml.NVMLError):
            pynvml.nvmlShutdown()

    def _ask(self, card: Card, now: float) -> Sequence[SampleEvent]:
        """Its samples; a last one without measurements when it is lost, because only that tells of its last Xid."""
        xids = self._xid_counts.get(card.identity.id)
        try:
            return card.sample(now, xids)
        except pynvml.NVMLError as error:
            if error.value in DRIVER_GONE:
                raise
            self._cards.remove(card)
            retry_s = _CARD_RETRY_S if self._cards else _DRIVER_RETRY_S
            self._retry_at = self._clock() + retry_s
            _log.warning("%s is away (%s): trying again every %.0f s", card.identity, error, retry_s)
            return [bare_sample(card.identity, now, xids)] if xids is not None and xids.count else []

    def _is_one_more(self) -> bool:
        """The driver has more cards than a moment ago."""
        then, self._attached_then = self._attached_then, self._attached()
        return bool(self._cards) and self._attached_then > then

    def _look_again(self) -> None:
        self._retry_at = self._clock() + (_CARD_RETRY_S if self._cards else _DRIVER_RETRY_S)
        before, known = {card.identity.id for card in self._cards}, set(self._known)
        self.close()
        self._open()
        for card in self._cards:
            if card.identity.id not in before:
                _log.warning("%s is back" if card.identity.id in known else "%s is new", card.identity)

    def _open(self) -> None:
        self._attached_then = self._attached()
        pynvml.nvmlInit()
        driver_version = text(pynvml.nvmlSystemGetDriverVersion())
        found = [_card(index, driver_version) for index in range(pynvml.nvmlDeviceGetCount())]
        self._cards = [card for card in found if card is not None]
        if not self._cards:
            raise pynvml.NVMLError(pynvml.NVML_ERROR_NOT_FOUND)
        handles: dict[str, Any] = {card.identity.id: card.handle for card in self._cards}
        self._known |= set(handles)
        self._xids.listen(handles)


def _card(index: int, driver_version: str) -> Card | None:
    """None for one that the driver counts and that does not answer."""
    try:
        return Card(pynvml.nvmlDeviceGetHandleByIndex(index), driver_version)
    except pynvml.NVMLError as error:
        if error.value in DRIVER_GONE:
            raise
        return None
