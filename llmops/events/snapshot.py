"""What a running serve says of itself at one moment: the body of `/ops/snapshot`."""

from __future__ import annotations

import dataclasses
from typing import Literal, TypeAlias

ServeState: TypeAlias = Literal["starting", "ready", "degraded", "draining", "dead"]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ModelSnapshot:
    """Which model answers, exactly."""

    id: str
    version: str
    engine: str
    dtype: str | None = None
    quantization: str | None = None
    max_model_len: int | None = None
    is_demo: bool = False
    weights_bytes: int | None = None
    cache_bytes: int | None = None
    """The most that its KV cache may take; on a CPU it takes memory as it is used, on a GPU all of it at the start."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class RequestDefaults:
    """What applies where a request does not say; None: off, or left to an upstream that does not tell."""

    max_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    stop_loops: bool = False


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class DeviceSnapshot:
    """The last sample of one device; None where it cannot be read."""

    id: str
    name: str
    type: str
    utilization: float | None = None
    memory_used_bytes: int | None = None
    memory_limit_bytes: int | None = None
    power_w: float | None = None
    temperature_c: float | None = None


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ServeSnapshot:
    """Numbers of one serve process. Totals count since it started; rates are over the last second."""

    schema_version: str
    at: float
    instance_id: str
    process_id: int
    started_at: float
    previous_exit: Literal["none", "clean", "crash"]
    state: ServeState
    model: ModelSnapshot
    running: int
    running_capacity: int
    waiting: int
    waiting_capacity: int
    output_tokens_per_s: float
    requests_by_outcome: dict[str, int]
    refusals_by_slug: dict[str, int]
    kv_cache_utilization: float | None = None
    room_tokens: int | None = None
    """The longest prompt and answer that the cache takes now; a longer one waits for others to end."""
    events_dropped: int = 0
    """Events that are nowhere."""
    events_waiting: int = 0
    """Events that are in memory only."""
    events_trouble: str | None = None
    """Why they wait there, in a few words; None while the journal is written."""
    expected_output_tokens_per_s: float | None = None
    """Of one answer that has the server to itself, as measured at the start and by requests since; None: not known."""
    expected_input_tokens_per_s: float | None = None
    """The same of reading a prompt."""
    defaults: RequestDefaults = RequestDefaults()
    threads: dict[str, bool] = dataclasses.field(default_factory=dict)
    """Of each background thread, whether it lives; `events` writes the journal."""
    devices: tuple[DeviceSnapshot, ...] = ()
    sample_interval_s: float = 1.0
    environment: dict[str, str] = dataclasses.field(default_factory=dict)
