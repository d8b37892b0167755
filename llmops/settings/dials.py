"""Every dial, one section per station; the only reader of the environment and of llmops.toml.

A value comes from, strongest first: a command-line flag, an environment variable (`LLMOPS_SERVE__PORT`),
`./llmops.toml` (or the file that `LLMOPS_CONFIG` names), the default. Units are in the names: `_s` seconds,
`_bytes` bytes, `_per_s` per second.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr

PositiveSeconds = Annotated[float, Field(gt=0)]
Fraction = Annotated[float, Field(gt=0, lt=1)]
Origin = Annotated[str, Field(pattern=r"^(\*|https?://[^\s/]+)$")]
Port = Annotated[int, Field(ge=0, le=65535)]


class Section(BaseModel):
    """A group of dials; a name that is none of them is an error, never ignored."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def default_state_directory() -> Path:
    """Where the record lives: `$XDG_STATE_HOME/llmops`, or `~/.local/state/llmops`."""
    return Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state") / "llmops"


class StateSettings(Section):
    """Where things are kept on disk."""

    directory: Annotated[Path, AfterValidator(Path.expanduser)] = Field(
        default_factory=default_state_directory, description="journal, store and run files"
    )

    @property
    def journal(self) -> Path:
        """Folder of the journal files."""
        return self.directory / "journal"

    @property
    def store(self) -> Path:
        """The SQLite file: an index of the journal, rebuilt when deleted."""
        return self.directory / "llmops.sqlite"

    @property
    def run(self) -> Path:
        """Folder of the files that say which serve is running."""
        return self.directory / "run"


class ServeSettings(Section):
    """The HTTP API."""

    host: str = Field("127.0.0.1", description="address to bind; anything but loopback opens it to the network")
    port: Port = Field(8000, description="port to bind; 0 takes a free one")
    drain_deadline_s: PositiveSeconds = Field(30.0, description="how long running requests may finish after SIGTERM")
    max_body_bytes: int = Field(2 << 20, gt=0, description="largest request body; larger ones get 413")
    cors_origins: tuple[Origin, ...] = Field(
        (), description='web pages that may call from a browser, as in ["http://127.0.0.1:3000"]; "*" is any'
    )

    @property
    def url(self) -> str:
        """Where clients on this machine reach it."""
        host = "127.0.0.1" if self.host in ("0.0.0.0", "::", "") else self.host  # noqa: S104
        return f"http://[{host}]:{self.port}" if ":" in host else f"http://{host}:{self.port}"


class EngineSettings(Section):
    """What turns a prompt into tokens."""

    kind: Literal["transformers", "transformers-sequential", "upstream", "echo"] = Field(
        "transformers", description="which engine; transformers goes one by one where it can't batch"
    )
    model: str | None = Field(
        None, description="hub name or local folder, empty: the demo model that ships; of an upstream: its name there"
    )
    revision: str | None = Field(None, description="commit, tag or branch of a hub model")
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = Field(
        "auto", description="auto: bf16 on CUDA; on a CPU the files' bf16 if it computes in it, else fp32"
    )
    quantization: Literal["none", "nf4", "nf4-double", "int8"] = Field("none", description="bitsandbytes weights")
    device: str = Field("auto", description="auto: the first GPU, else the CPU; or cpu, cuda:1")
    device_map: str | None = Field(
        None, description="spread layers over GPUs: auto, balanced, sequential or a JSON object from layer to device"
    )
    max_memory: str | None = Field(
        None, description='with device_map: JSON from device to a size, as in {"0": "20GiB", "cpu": "60GiB"}'
    )
    cpu_offload: bool = Field(False, description="layers that find no place on the GPU stay in RAM: slow, but it runs")
    attention: Literal["auto", "sdpa", "eager", "flash_attention_2", "flash_attention_3"] = Field(
        "auto", description="auto: the quickest that is installed"
    )
    tensor_parallel: int = Field(
        1, gt=0, description="GPUs that share each layer; more than one needs the upstream engine"
    )
    offline: bool = Field(False, description="never ask the hub; HF_HUB_OFFLINE=1 does the same")
    trust_remote_code: bool = Field(False, description="run Python code that a model brings: read it first")
    max_running: int = Field(16, gt=0, description="generations that share a batch; further ones wait in the queue")
    max_model_len: int | None = Field(None, gt=0, description="cap on prompt + answer in tokens; empty: the model's")
    kv_cache_bytes: int | None = Field(None, gt=0, description="memory for the KV cache; empty: sized to the load")
    embedding_model: str | None = Field(
        None, description="hub name or local folder for /v1/embeddings; empty: none; `echo` needs no weights"
    )
    stop_loops: bool = Field(
        False, description="end an answer that repeats itself without end; a request may ask for it"
    )
    stall_s: PositiveSeconds = Field(30.0, description="no step for so long while something runs: degraded, not ready")
    hang_s: PositiveSeconds = Field(180.0, description="no step for so long: serve ends, so that `up` starts it afresh")
    echo_tokens_per_s: float = Field(50.0, ge=0, description="echo engine: pace of each answer; 0 is unpaced")
    echo_ttft_s: float = Field(0.05, ge=0, description="echo engine: time to first token")
    upstream_url: Annotated[str, Field(pattern=r"^https?://[^\s/@?#]+(/[^\s@?#]*)?$")] | None = Field(
        None, description="upstream engine: address of an OpenAI-compatible API, as in http://127.0.0.1:8001/v1"
    )
    upstream_api_key: SecretStr | None = Field(None, description="upstream engine: sent as a bearer token; never shown")
    upstream_connect_timeout_s: PositiveSeconds = Field(5.0, description="upstream engine: to open a connection")
    upstream_read_timeout_s: PositiveSeconds = Field(
        120.0, description="upstream engine: longest silence, the wait for the first token included"
    )
    upstream_start_timeout_s: PositiveSeconds = Field(
        600.0, description="upstream engine: how long to wait for one that is away or loads its model"
    )
    upstream_retries: int = Field(2, ge=0, le=10, description="upstream engine: tries again of what it did not begin")
    upstream_look_every_s: PositiveSeconds = Field(5.0, description="upstream engine: between two looks at its health")
    upstream_dead_after_s: PositiveSeconds = Field(
        300.0, description="upstream engine: serve ends when it was not well for so long, to be started afresh"
    )


class AdmissionSettings(Section):
    """Who may enter, and how many wait."""

    keys: Literal["auto", "required", "off"] = Field(
        "auto", description="auto: an API key for whoever is not on this machine; required: for every answer; off: none"
    )
    queue_size: int = Field(100, ge=0, description="requests that may wait; the next one gets 503 queue_full")
    queue_tokens: int | None = Field(
        500_000, gt=0, description="tokens of prompt and answer that may wait; the next one gets 503 queue_full"
    )
    spare_running: int = Field(2, ge=0, description="slots beyond engine.max_running, for users with nothing running")
    spare_queue: int = Field(8, ge=0, description="places beyond queue_size, for users with nothing here yet")
    rate_per_s: float = Field(10.0, gt=0, description="requests a second that one user's bucket refills")
    burst: int = Field(200, ge=1, description="requests that one user may send at once")
    tokens_per_minute: int | None = Field(
        None, gt=0, description="tokens, read and written, that one user may spend a minute; empty: any"
    )
    deadline_s: PositiveSeconds = Field(300.0, description="longest life of a request, waiting included; then 504")
    default_max_tokens: int = Field(512, gt=0, description="answer length when a request names none")


class EventSettings(Section):
    """What is written down."""

    environment: str = Field("default", description="service.environment of every event")
    namespace: str = Field("default", pattern=r"^[a-z0-9_.]+$", description="data_stream.namespace of every event")
    enabled: bool = Field(True, description="false writes no events (for measuring what they cost)")
    record_user: bool = Field(False, description="write user.id and client.ip in clear beside the hash")
    fsync: Literal["none", "interval", "always"] = Field("interval", description="when the journal is forced to disk")
    fsync_interval_s: PositiveSeconds = Field(1.0, description="with fsync = interval")
    segment_bytes: int = Field(64 << 20, gt=4096, description="a journal file is rotated at this size")
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field("INFO", description="of the human log on stderr")


class GpuSettings(Section):
    """Samples of the hardware."""

    kind: Literal["auto", "nvml", "system", "pretend", "none"] = Field(
        "auto", description="auto: NVML, else CPU and RAM"
    )
    interval_s: PositiveSeconds = Field(1.0, description="between two samples")


class WatchSettings(Section):
    """Follows the record and judges it."""

    serve_url: str | None = Field(None, description="which serve to watch; empty: the [serve] address")
    api_key: SecretStr | None = Field(None, description="key for that serve: of watch, tui, chat, bench and status")
    interval_s: PositiveSeconds = Field(1.0, description="between two looks at journal, serve and objectives")
    webhook_url: Annotated[str, Field(pattern=r"^https?://[^\s/]+")] | None = Field(
        None, description="alerts are POSTed here as JSON; empty: console only"
    )
    serve_down_for_s: float = Field(5.0, ge=0, description="serve may be unreachable this long before an alert")

    @property
    def key(self) -> str | None:
        """The API key in clear, for a header and nothing else."""
        return None if self.api_key is None else self.api_key.get_secret_value()


class BenchSettings(Section):
    """The self-benchmark."""

    interval_s: PositiveSeconds = Field(6 * 3600.0, description="between two scheduled runs")
    enabled: bool = Field(True, description="false schedules none")
    retry_s: PositiveSeconds = Field(60.0, description="users are waiting: try again after this long")
    requests: int = Field(8, gt=0, description="requests of one run")
    concurrency: int = Field(2, gt=0, description="of them at once")
    max_tokens: int = Field(32, gt=0, description="answer length of each")


class ObjectiveSettings(Section):
    """What good means. Ratios count eligible requests over the window."""

    window_s: PositiveSeconds = Field(30 * 86400.0, description="rolling window of the error budgets")
    latency_threshold_s: PositiveSeconds = Field(3.0, description="a request slower than this is bad")
    latency_target: Fraction = Field(0.99, description="share of requests that must be faster")
    availability_target: Fraction = Field(0.999, description="share of requests that must succeed")
    vram_fire: Fraction = Field(0.80, description="share of device memory above which an alert goes pending")
    vram_clear: Fraction = Field(0.75, description="share below which it clears")
    vram_for_s: float = Field(120.0, ge=0, description="it must stay above this long")
    vram_keep_s: float = Field(300.0, ge=0, description="it must stay clear this long")
    min_bad: int = Field(3, ge=1, description="fewer bad requests in the window never page")
    min_total: int = Field(50, ge=1, description="fewer requests in the window never page")


class TuiSettings(Section):
    """The terminal."""

    refresh_s: PositiveSeconds = Field(1.0, description="between two looks")
    language: Literal["auto", "en", "zh"] = Field("auto", description="auto: from LANG")
    theme: str = Field("llmops-dark", description="name of a theme; `t` in the terminal goes through them")
    keys: dict[str, str] = Field(
        default_factory=dict, description='changed keys: action = "key", as in quit = "ctrl+q"'
    )


class Settings(Section):
    """All of them."""

    state: StateSettings = StateSettings()
    serve: ServeSettings = ServeSettings()
    engine: EngineSettings = EngineSettings()
    admission: AdmissionSettings = AdmissionSettings()
    events: EventSettings = EventSettings()
    gpu: GpuSettings = GpuSettings()
    watch: WatchSettings = WatchSettings()
    bench: BenchSettings = BenchSettings()
    objectives: ObjectiveSettings = ObjectiveSettings()
    tui: TuiSettings = TuiSettings()
