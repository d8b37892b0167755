"""Which sampler a program gets."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Literal, TypeAlias

from llmops.events import SampleEvent
from llmops.gpu.contract import Sampler, SamplerUnavailable
from llmops.gpu.pretend import PretendSampler
from llmops.gpu.system import SystemSampler

_log = logging.getLogger(__name__)

SamplerKind: TypeAlias = Literal["auto", "nvml", "system", "pretend", "none"]


class NoSampler:
    """Samples nothing: `gpu.kind = none`."""

    def sample(self, now: float) -> Sequence[SampleEvent]:
        """No devices."""
        return ()

    def close(self) -> None:
        """Nothing is held."""


def build_sampler(kind: SamplerKind) -> Sampler:
    """`auto` is NVML where a driver answers, else processor and memory. Raises SamplerUnavailable for `nvml` alone."""
    if kind == "pretend":
        return PretendSampler()
    if kind == "none":
        return NoSampler()
    if kind == "system":
        return SystemSampler()
    from llmops.gpu.nvml import NvmlSampler

    try:
        return NvmlSampler()
    except SamplerUnavailable as error:
        if kind == "nvml":
            raise
        _log.info("no NVIDIA GPU here, so processor and memory are sampled (%s)", error)
        return SystemSampler()
