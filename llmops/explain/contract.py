"""What goes into an explanation and what comes out; both are plain values."""

from __future__ import annotations

import dataclasses
from typing import Literal, TypeAlias

from llmops.events.speed import StreamSpeed

Topic: TypeAlias = Literal["oom", "repetition", "uneven-gpus", "slow"]
Standing: TypeAlias = Literal["shown", "fits"]
"""`shown`: the numbers say so. `fits`: the numbers agree with it, and with other causes too."""
OPENED = 5
"""So many request ids are named to look at."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One request of a user, as the record has it; None where it does not know."""

    at: float
    request_id: str
    outcome: str = "success"
    error_type: str | None = None
    finish_reason: str | None = None
    duration_s: float = 0.0
    ttft_s: float | None = None
    queue_s: float | None = None
    engine_queue_s: float | None = None
    prefill_s: float | None = None
    decode_s: float | None = None
    tpot_s: float | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    cached_tokens: int | None = None
    max_tokens: int | None = None
    batch_size: int | None = None
    quantization: str | None = None
    temperature: float | None = None
    top_p: float | None = None
    repetition_ratio: float | None = None
    loop_detected: bool = False
    instance: str | None = None
    """Of the serve that answered."""
    predicted_peak_bytes: int | None = None
    peak_allocated_bytes: int | None = None

    @property
    def began_at(self) -> float:
        """When its turn came."""
        return self.at - self.duration_s + (self.queue_s or 0.0)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class CardUse:
    """One GPU over the span: means and shares (0..1) over its samples; None where it does not tell."""

    device_id: str
    name: str
    samples: int
    use: float | None = None
    memory: float | None = None
    peak_memory: float | None = None
    memory_limit_bytes: float | None = None
    throttled: float = 0.0
    """Share of the samples in which the card was held back by heat or power."""
    active_links: int | None = None
    torch_reserved_bytes: float | None = None
    torch_allocated_bytes: float | None = None
    memory_used_bytes: float | None = None


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """What is looked at. `is_cut`: of the requests only the newest were read. The dials are those of now."""

    requests: tuple[Asked, ...] = ()
    cards: tuple[CardUse, ...] = ()
    is_cut: bool = False
    max_running: int = 16
    latency_limit_s: float = 3.0
    ttft_limit_s: float = 2.0
    speed: StreamSpeed = StreamSpeed()
    """Of one answer that has the server to itself."""
    device_map: str | None = None
    quantization: str = "none"
    leak_share: float = 0.02
    """Growth beyond the predicted peak, as a share of it, that is a leak."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """A dial and where to; a name without a dot is a field of the request."""

    dial: str
    to: str


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Cause:
    """One cause that the record shows, or that fits it, with the numbers that say so."""

    name: str
    standing: Standing
    says: str
    evidence: tuple[str, ...]
    turns: tuple[Turn, ...] = ()
    requests: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """`is_there`: the record has the problem at all. `would_show`: what to look at or wait for where it has not."""

    topic: Topic
    is_there: bool
    summary: str
    causes: tuple[Cause, ...] = ()
    would_show: tuple[str, ...] = ()


def share(part: int, whole: int) -> str:
    """`12 of 40 (30 %)`."""
    return f"{part} of {whole} ({100 * part / whole:.0f} %)" if whole else f"{part} of 0"


def median(values: list[float]) -> float | None:
    """The lower middle one; None of none."""
    return sorted(values)[(len(values) - 1) // 2] if values else None


def ids(requests: list[Asked]) -> tuple[str, ...]:
    """The newest few."""
    newest = sorted(requests, key=lambda each: -each.at)
    return tuple(each.request_id for each in newest[:OPENED])
