"""Dials of what answers: the HTTP API, the engine, admission, the hardware samples."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, SecretStr

from llmops.settings.section import PositiveSeconds, Section

Origin = Annotated[str, Field(pattern=r"^(\*|[A-Za-z][A-Za-z0-9+.-]*://[^\s/]+)$")]
HostName = Annotated[str, Field(pattern=r"^[^\s:/@\[\]]{1,255}$")]
HeaderName = Annotated[str, Field(pattern=r"^[A-Za-z0-9!#$%&'*+.^_`|~-]{1,64}$")]
Port = Annotated[int, Field(ge=0, le=65535)]


class ServeSettings(Section):
    """The HTTP API."""

    host: str = Field("127.0.0.1", description="address to bind; anything but loopback opens it to the network")
    port: Port = Field(8000, description="port to bind; 0 takes a free one")
    drain_deadline_s: PositiveSeconds = Field(30.0, description="how long running requests may finish after SIGTERM")
    max_body_bytes: int = Field(2 << 20, gt=0, description="largest request body; larger ones get 413")
    cors_origins: tuple[Origin, ...] = Field(
        (),
        description='web pages that may call from a browser, as in ["http://127.0.0.1:3000"]; "*" is any page, '
        "which sends an API key unless it is this machine's",
        examples=["http://127.0.0.1:3000, or * for any"],
    )
    allowed_hosts: tuple[HostName, ...] = Field(
        (),
        description='names of this machine that programs on it may use without an API key, as in ["llm.test"]; '
        "loopback addresses, localhost and serve.host always are",
        examples=["llm.test, without a port"],
    )
    behind_proxy: bool = Field(
        False,
        description="a proxy or tunnel on this machine passes requests on: no request counts as local, so that each "
        "needs an API key, unless admission.keys is off",
    )
    keep_alive_s: PositiveSeconds = Field(75.0, description="how long an unused connection stays open")
    header_timeout_s: PositiveSeconds = Field(
        10.0, description="how long a client may take to send the request line and headers; then 408"
    )
    max_header_bytes: int = Field(
        32 << 10, ge=1 << 10, le=1 << 20, description="longest request line and headers together; longer ones get 431"
    )
    max_connections_per_address: int = Field(
        1000,
        ge=1,
        description="connections of one address that may be open, loopback aside; further ones get 429",
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
    torch_threads: int | None = Field(
        None, gt=0, description="threads of a step on a CPU; empty: as many as made steps quickest lately"
    )
    attention: Literal["auto", "sdpa", "eager", "flash_attention_2", "flash_attention_3"] = Field(
        "auto", description="auto: the quickest that is installed"
    )
    tensor_parallel: int = Field(
        1, gt=0, description="GPUs that share each layer; more than one needs the upstream engine"
    )
    compile: bool = Field(
        False,
        description="compile the step of a single stream: minutes at the start; needs kind transformers-sequential",
    )
    offline: bool = Field(False, description="never ask the hub; HF_HUB_OFFLINE=1 does the same")
    trust_remote_code: bool = Field(False, description="run Python code that a model brings: read it first")
    max_running: int = Field(16, gt=0, description="generations that share a batch; further ones wait in the queue")
    max_model_len: int | None = Field(None, gt=0, description="cap on prompt + answer in tokens; empty: the model's")
    kv_cache_bytes: int | None = Field(
        None,
        gt=0,
        description="most memory of the KV cache; empty: on a CPU an eighth of what is free, else most of a GPU",
    )
    temperature: float | None = Field(
        None,
        ge=0,
        le=2,
        allow_inf_nan=False,
        description="for requests that name none, 0 is greedy; empty: the model's generation_config, else 0.7",
    )
    top_p: float | None = Field(
        None,
        gt=0,
        le=1,
        allow_inf_nan=False,
        description="for requests that name none, 1 is off; empty: the model's generation_config, else 0.95",
    )
    top_k: int | None = Field(
        None,
        ge=0,
        lt=1 << 31,
        description="for requests that name none, 0 is off; empty: the model's generation_config",
    )
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
        None,
        description="upstream engine: address of an OpenAI-compatible API, as in http://127.0.0.1:8001/v1",
        examples=["http://127.0.0.1:8001/v1, without a user"],
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
    end_user_header: HeaderName | None = Field(
        "X-OpenWebUI-User-Id",
        description="header in which a front end, by a key made with `--front-end`, names the end user of a request; "
        "that one is the user of limits, fairness and record",
        examples=["X-OpenWebUI-User-Id"],
    )
    background_header: HeaderName | None = Field(
        "X-OpenWebUI-Task",
        description="header whose value, when not empty, marks a background task (a title, a summary): served after "
        "people, as `X-LLMOPS-Priority: summary` is",
        examples=["X-OpenWebUI-Task"],
    )
    queue_size: int = Field(100, ge=0, description="requests that may wait; the next one gets 503 queue_full")
    queue_tokens: int | None = Field(
        500_000, gt=0, description="tokens of prompt and answer that may wait; the next one gets 503 queue_full"
    )
    spare_running: int = Field(2, ge=0, description="slots beyond engine.max_running, for users with nothing running")
    spare_queue: int = Field(8, ge=0, description="places beyond queue_size, for users with nothing here yet")
    user_share: float | None = Field(
        None,
        gt=0,
        le=1,
        description="of the slots, the most one user holds while somebody who asks for less is here; "
        "empty: an eighth on a CPU, half on a GPU",
    )
    rate_per_s: float = Field(10.0, gt=0, description="requests a second that one user's bucket refills")
    burst: int = Field(200, ge=1, description="requests that one user may send at once")
    tokens_per_minute: int | None = Field(
        None, gt=0, description="tokens, read and written, that one user may spend a minute; empty: any"
    )
    deadline_s: PositiveSeconds = Field(300.0, description="longest life of a request, waiting included; then 504")
    default_max_tokens: int | None = Field(
        None, gt=0, description="longest answer when a request names none; empty: as much as the context holds"
    )


class GpuSettings(Section):
    """Samples of the hardware."""

    kind: Literal["auto", "nvml", "system", "pretend", "none"] = Field(
        "auto", description="auto: NVML, else CPU and RAM; pretend: two scripted cards"
    )
    scene: Literal["calm", "hot", "full", "slowed", "failing"] = Field(
        "calm", description="what goes wrong with the second of the scripted cards"
    )
    interval_s: PositiveSeconds = Field(1.0, description="between two samples")
