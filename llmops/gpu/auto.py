"""What `auto` samples: NVIDIA cards where there are some, or once there are; until then the machine itself."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from llmops.events import SampleEvent
from llmops.gpu.adapters import adapters, why_no_gpu
from llmops.gpu.contract import SamplerUnavailable
from llmops.gpu.nvml import NvmlSampler
from llmops.gpu.system import SystemSampler

_log = logging.getLogger(__name__)
_RETRY_S = 60.0


class AutoSampler:
    """Opens NVML at the first sample, so that a driver that hangs holds up nothing but its own thread."""

    def __init__(self) -> None:
        self._cards: NvmlSampler | None = None
        self._system = SystemSampler()
        self._retry_at: float | None = None

    def sample(self, now: float) -> Sequence[SampleEvent]:
        """Of the cards; none while a driver that was there is away. A driver that is loaded later is found within a
        minute."""
        if self._cards is None and (self._retry_at is None or not self._retry_at - _RETRY_S <= now < self._retry_at):
            self._look(now)
        return (self._cards or self._system).sample(now)

    def close(self) -> None:
        """Release the cards."""
        if self._cards is not None:
            self._cards.close()

    def _look(self, now: float) -> None:
        is_first, self._retry_at = self._retry_at is None, now + _RETRY_S
        try:
            self._cards = NvmlSampler()
        except SamplerUnavailable as error:
            if is_first:
                _log.info(
                    "no NVIDIA GPU answers here, so processor and memory are sampled: %s (%s). "
                    "`--gpu pretend` shows what a card would look like.",
                    why_no_gpu(adapters()),
                    error.reason,
                )
        else:
            if not is_first:
                _log.info("an NVIDIA driver answers now: its cards are sampled")
