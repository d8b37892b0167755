"""The contract of every sampler, and what one cannot do without."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from llmops.events import SampleEvent


class SamplerUnavailable(Exception):
    """This kind of sampler cannot work here; `str(error)` is one sentence that says why and what to do."""

    def __init__(self, sentence: str, reason: str = "", code: int | None = None) -> None:
        super().__init__(sentence)
        self.reason = reason
        """What the driver's library says, in its own words."""
        self.code = code
        """Its number for that, NVML_ERROR_*."""


class Sampler(Protocol):
    """Implementations: `nvml`, `system`, `pretend`. Used from one thread."""

    def sample(self, now: float) -> Sequence[SampleEvent]:
        """One event per device at Unix time `now`; none while the devices cannot be read. Never raises."""

    def close(self) -> None:
        """Release handles. Idempotent."""
