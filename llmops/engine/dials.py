"""The dials of both engines, as plain values that the programs fill in."""

from __future__ import annotations

import dataclasses
from typing import Literal, TypeAlias

EngineKind: TypeAlias = Literal["transformers", "echo"]
Dtype: TypeAlias = Literal["auto", "float32", "bfloat16", "float16"]
Quantization: TypeAlias = Literal["none", "nf4", "int8"]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class EchoDials:
    """Pace and failures of the echo engine. Requests are counted from 1; None: never.

    tokens_per_s: pace of each answer; 0 or infinity is unpaced.
    oom_at: this request fails with OutOfMemory before its first token.
    stall_at: this request gets no token until it is closed, or the engine stops.
    die_at: this request kills the engine, and with it all that runs.
    """

    tokens_per_s: float = 50.0
    ttft_s: float = 0.05
    max_model_len: int = 8192
    oom_at: int | None = None
    stall_at: int | None = None
    die_at: int | None = None


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class EngineDials:
    """What the operator chooses about an engine; None and "auto": the engine decides.

    max_running: generations that share a batch.
    max_batch_tokens: prompt tokens and running answers in one forward pass.
    kv_cache_bytes: memory for the KV cache and what grows with it.
    torch_threads: threads of one operator on a CPU.
    stall_s: no step for so long while something runs makes the engine degraded.
    hang_s: no step for so long makes it dead: whoever supervises the process must start a new one.
    """

    revision: str | None = None
    device: str = "auto"
    dtype: Dtype = "auto"
    quantization: Quantization = "none"
    max_running: int = 16
    max_batch_tokens: int | None = None
    max_model_len: int | None = None
    kv_cache_bytes: int | None = None
    torch_threads: int | None = None
    probe_timeout_s: float = 120.0
    stall_s: float = 30.0
    hang_s: float = 180.0
    echo: EchoDials = EchoDials()
