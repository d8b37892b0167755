"""Which sampler a program gets."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Sequence
from typing import Literal, TypeAlias

from llmops.events import SampleEvent
from llmops.gpu.adapters import adapters, why_no_gpu
from llmops.gpu.contract import Sampler, SamplerUnavailable
from llmops.gpu.pretend import PretendSampler, Scene
from llmops.gpu.system import SystemSampler

SamplerKind: TypeAlias = Literal["auto", "nvml", "system", "pretend", "none"]
_DRIVER_WITHIN_S = 20.0
"""A driver that is not kept loaded takes some seconds for each card."""


class NoSampler:
    """Samples nothing: `gpu.kind = none`."""

    def sample(self, now: float) -> Sequence[SampleEvent]:
        """No devices."""
        return ()

    def close(self) -> None:
        """Nothing is held."""


def build_sampler(kind: SamplerKind, scene: Scene = "calm", *, driver_within_s: float = _DRIVER_WITHIN_S) -> Sampler:
    """`auto` is NVML where a driver answers, else processor and memory. Raises SamplerUnavailable for `nvml` alone."""
    if kind == "pretend":
        return PretendSampler(scene)
    if kind == "none":
        return NoSampler()
    if kind == "system":
        return SystemSampler()
    from llmops.gpu.auto import AutoSampler
    from llmops.gpu.nvml import NvmlSampler

    if kind == "auto":
        return AutoSampler()
    try:
        return _within(driver_within_s, NvmlSampler)
    except SamplerUnavailable as error:
        raise SamplerUnavailable(f"{error} Here {why_no_gpu(adapters())}; `--gpu auto` does without.") from None


def _within(seconds: float, build: Callable[[], Sampler]) -> Sampler:
    """Raises SamplerUnavailable when it is not built in time: a call into a driver that hangs cannot be ended."""
    answers: queue.SimpleQueue[Sampler | SamplerUnavailable] = queue.SimpleQueue()

    def work() -> None:
        try:
            answers.put(build())
        except SamplerUnavailable as error:
            answers.put(error)
        except Exception as error:  # else its end would look like a driver that hangs
            answers.put(SamplerUnavailable(f"NVML cannot be used: {type(error).__name__}: {error}."))

    threading.Thread(target=work, name="llmops-driver", daemon=True).start()
    try:
        answer = answers.get(timeout=seconds)
    except queue.Empty:
        raise SamplerUnavailable(
            f"NVML has not answered for {seconds:g} s: if `nvidia-smi` hangs too, restart the machine; "
            "`--gpu system` asks it nothing."
        ) from None
    if isinstance(answer, SamplerUnavailable):
        raise answer
    return answer
