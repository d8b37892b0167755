"""The dials of all engines, as plain values that the programs fill in."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Literal, TypeAlias

from llmops.engine.contract import Sampling

EngineKind: TypeAlias = Literal["transformers", "transformers-sequential", "upstream", "echo"]
Dtype: TypeAlias = Literal["auto", "float32", "bfloat16", "float16"]
Quantization: TypeAlias = Literal["none", "nf4", "nf4-double", "int8"]
Attention: TypeAlias = Literal["auto", "sdpa", "eager", "flash_attention_2", "flash_attention_3"]


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
class UpstreamDials:
    """Where the upstream engine asks, and how patient it is.

    url: up to and including the version, as in http://127.0.0.1:8001/v1.
    read_timeout_s: longest silence in an answer, the wait for its first token included.
    start_timeout_s: how long a start waits for an upstream that is away or still loads its model.
    retries: further tries of a request that the upstream did not begin.
    look_every_s: between two looks at the upstream's health.
    dead_after_s: an upstream that was not well for so long makes the engine dead.
    """

    url: str | None = None
    api_key: str | None = dataclasses.field(default=None, repr=False)
    connect_timeout_s: float = 5.0
    read_timeout_s: float = 120.0
    start_timeout_s: float = 600.0
    retries: int = 2
    look_every_s: float = 5.0
    dead_after_s: float = 300.0


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class EngineDials:
    """What the operator chooses about an engine; None and "auto": the engine decides.

    max_running: generations that share a batch.
    max_batch_tokens: prompt tokens and running answers in one forward pass.
    kv_cache_bytes: memory for the KV cache and what grows with it.
    torch_threads: threads of one operator on a CPU; None: as many as made steps quickest lately.
    stall_s: no step for so long while something runs makes the engine degraded.
    hang_s: no step for so long makes it dead: whoever supervises the process must start a new one.
    device: "cpu", "cuda:1"; device_map spreads the layers instead: "auto", "balanced", "sequential" or JSON.
    max_memory: JSON from device to a size, such as {"0": "20GiB", "cpu": "60GiB"}; for device_map.
    compile: steps of a single stream become one compiled program; only where generations go one by one.
    cpu_offload: layers that find no place on the GPU stay in RAM and visit it for each step.
    tensor_parallel: GPUs that share each layer; this engine has one.
    offline: the hub is never asked.
    sampling: for requests that name no value of their own; None in it leaves the model's, top_k 0 turns that off.
    cache_directory: where content hashes are remembered; None remembers none.
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
    device_map: str | None = None
    max_memory: str | None = None
    cpu_offload: bool = False
    compile: bool = False
    attention: Attention = "auto"
    tensor_parallel: int = 1
    offline: bool = False
    trust_remote_code: bool = False
    cache_directory: Path | None = None
    sampling: Sampling = Sampling()
    probe_timeout_s: float = 120.0
    stall_s: float = 30.0
    hang_s: float = 180.0
    echo: EchoDials = EchoDials()
    upstream: UpstreamDials = UpstreamDials()
