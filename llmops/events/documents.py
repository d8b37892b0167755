"""The documents: a request, a sample of the hardware, a change of an alert; a benchmark stands in a file of its own.

Units: seconds (`_s`), bytes, watts, joules, hertz, degrees Celsius; fractions are 0..1; times are Unix seconds.
"""

from __future__ import annotations

import dataclasses
from typing import ClassVar, Literal, TypeAlias

from llmops.events.benchmark import BenchmarkEvent
from llmops.events.names import named, required

Outcome: TypeAlias = Literal["success", "failure", "unknown"]
"""`unknown`: the client left before it had its answer."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class RequestEvent:
    """One wide event for every request, whatever became of it: answered, refused, failed or abandoned."""

    dataset: ClassVar[str] = "llmops.request"
    stream_type: ClassVar[str] = "logs"
    kind: ClassVar[str] = "event"
    category: ClassVar[tuple[str, ...]] = ("web",)
    type: ClassVar[tuple[str, ...]] = ("access",)

    at: float = dataclasses.field()
    request_id: str = required("http.request.id")
    trace_id: str | None = named("trace.id")
    span_id: str | None = named("span.id")
    method: str = named("http.request.method", default="POST")
    path: str = named("url.path", default="/v1/chat/completions")
    status_code: int = named("http.response.status_code", "long", default=200)
    user_hash: str | None = named("user.hash")
    user_id: str | None = named("user.id")
    client_ip: str | None = named("client.ip", "ip")
    conversation_id: str | None = named("gen_ai.conversation.id")
    operation: str = named("gen_ai.operation.name", default="chat")
    provider: str = named("gen_ai.provider.name", default="llmops")
    request_model: str | None = named("gen_ai.request.model")
    response_model: str | None = named("gen_ai.response.model")
    response_id: str | None = named("gen_ai.response.id")
    model_version: str | None = named("llmops.model.version")
    quantization: str | None = named("llmops.model.quantization")
    dtype: str | None = named("llmops.model.dtype")
    engine: str | None = named("llmops.engine.name")
    max_tokens: int | None = named("gen_ai.request.max_tokens", "long")
    temperature: float | None = named("gen_ai.request.temperature", "double")
    top_p: float | None = named("gen_ai.request.top_p", "double")
    top_k: int | None = named("gen_ai.request.top_k", "long")
    seed: int | None = named("gen_ai.request.seed", "long")
    stream: bool | None = named("gen_ai.request.stream", "boolean")
    defaults: tuple[str, ...] = named("llmops.request.defaults", default=())
    finish_reasons: tuple[str, ...] = named("gen_ai.response.finish_reasons", default=())
    input_tokens: int | None = named("gen_ai.usage.input_tokens", "long")
    output_tokens: int | None = named("gen_ai.usage.output_tokens", "long")
    cached_tokens: int | None = named("gen_ai.usage.cache_read.input_tokens", "long")
    start: float | None = named("event.start", "date")
    end: float | None = named("event.end", "date")
    duration_ns: int = named("event.duration", "long", default=0)
    duration_s: float = named("gen_ai.server.request.duration", "double", default=0.0)
    ttft_s: float | None = named("gen_ai.server.time_to_first_token", "double")
    tpot_s: float | None = named("gen_ai.server.time_per_output_token", "double")
    queue_s: float | None = named("llmops.queue.time", "double")
    engine_queue_s: float | None = named("llmops.queue.engine_time", "double")
    prefill_s: float | None = named("llmops.prefill.time", "double")
    decode_s: float | None = named("llmops.decode.time", "double")
    priority: str | None = named("llmops.priority")
    queue_depth: int | None = named("llmops.queue.depth_at_arrival", "long")
    batch_size: int | None = named("llmops.batch.size", "long")
    peak_allocated_bytes: int | None = named("llmops.gpu.memory.peak_allocated", "long")
    peak_reserved_bytes: int | None = named("llmops.gpu.memory.peak_reserved", "long")
    predicted_peak_bytes: int | None = named("llmops.gpu.memory.predicted_peak", "long")
    energy_j: float | None = named("llmops.energy", "double")
    itl_p50_s: float | None = named("llmops.itl.p50", "double")
    itl_p99_s: float | None = named("llmops.itl.p99", "double")
    itl_max_s: float | None = named("llmops.itl.max", "double")
    repetition_ratio: float | None = named("llmops.output.repetition_ratio", "double")
    loop_detected: bool | None = named("llmops.output.loop_detected", "boolean")
    stopped_by: str | None = named("llmops.output.stopped_by")
    outcome: Outcome = named("event.outcome", default="success")
    error_type: str | None = named("error.type")
    error_message: str | None = named("error.message", "text")
    error_stack: str | None = named("error.stack_trace", "text")
    duration_limit_s: float | None = named("llmops.slo.duration_limit", "double")
    over_limit: bool | None = named("llmops.slo.over_limit", "boolean")
    slo_eligible: bool = named("llmops.slo.eligible", "boolean", default=True)
    synthetic: bool = named("llmops.synthetic", "boolean", default=False)

    def message(self) -> str:
        """One human line."""
        what = self.error_type or "/".join(self.finish_reasons) or self.outcome
        tokens = f" {self.input_tokens or 0}+{self.output_tokens or 0} tokens" if self.output_tokens else ""
        return f"{self.status_code} {what} {self.duration_s:.3f} s{tokens} id={self.request_id}"

    def level(self) -> str:
        """Log level: our failures are errors, refusals and departures warnings."""
        if self.outcome == "success":
            return "INFO"
        return "ERROR" if self.status_code >= 500 and self.error_type != "queue_full" else "WARNING"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class SampleEvent:
    """What one device was doing at one tick: a GPU, or the machine's CPU and memory where there is none."""

    dataset: ClassVar[str] = "llmops.gpu"
    stream_type: ClassVar[str] = "metrics"
    kind: ClassVar[str] = "metric"
    category: ClassVar[tuple[str, ...]] = ("host",)
    type: ClassVar[tuple[str, ...]] = ("info",)

    at: float = dataclasses.field()
    device_id: str = required("hw.id")
    device_name: str = required("hw.name")
    device_type: str = named("hw.type", default="gpu")
    device_model: str | None = named("hw.model")
    vendor: str | None = named("hw.vendor")
    driver_version: str | None = named("hw.driver_version")
    utilization: float | None = named("hw.gpu.utilization", "double")
    memory_used_bytes: int | None = named("hw.gpu.memory.usage", "long")
    memory_limit_bytes: int | None = named("hw.gpu.memory.limit", "long")
    memory_utilization: float | None = named("hw.gpu.memory.utilization", "double")
    memory_controller_utilization: float | None = named("llmops.gpu.memory.controller_utilization", "double")
    power_w: float | None = named("hw.power", "double")
    power_limit_w: float | None = named("llmops.gpu.power_limit", "double")
    energy_j: float | None = named("hw.energy", "double")
    temperature_c: float | None = named("hw.temperature", "double")
    clock_sm_hz: float | None = named("llmops.gpu.clock.sm", "double")
    clock_memory_hz: float | None = named("llmops.gpu.clock.memory", "double")
    throttle_reasons: tuple[str, ...] = named("llmops.gpu.throttle_reasons", default=())
    ecc_corrected: int | None = named("llmops.gpu.ecc.corrected", "long")
    ecc_uncorrected: int | None = named("llmops.gpu.ecc.uncorrected", "long")
    xid_count: int | None = named("llmops.gpu.xid.count", "long")
    xid_last: int | None = named("llmops.gpu.xid.last", "long")
    pcie_tx_bytes_per_s: float | None = named("llmops.gpu.pcie.tx", "double")
    pcie_rx_bytes_per_s: float | None = named("llmops.gpu.pcie.rx", "double")
    nvlink_active_links: int | None = named("llmops.gpu.nvlink.active_links", "long")
    torch_allocated_bytes: int | None = named("llmops.gpu.memory.torch_allocated", "long")
    torch_reserved_bytes: int | None = named("llmops.gpu.memory.torch_reserved", "long")
    requests_running: int | None = named("llmops.requests.running", "long")
    requests_waiting: int | None = named("llmops.requests.waiting", "long")
    kv_cache_utilization: float | None = named("llmops.kv_cache.utilization", "double")
    cpu_utilization: float | None = named("system.cpu.utilization", "double")
    system_memory_used_bytes: int | None = named("system.memory.usage", "long")
    system_memory_limit_bytes: int | None = named("system.memory.limit", "long")

    def message(self) -> str:
        """One human line."""
        busy = self.utilization if self.utilization is not None else self.cpu_utilization
        return f"{self.device_name} {100 * (busy or 0.0):.0f} % busy"

    def level(self) -> str:
        """Samples are too many for the human log."""
        return "DEBUG"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class AlertEvent:
    """One transition of an alert; never one per evaluation."""

    dataset: ClassVar[str] = "llmops.alert"
    stream_type: ClassVar[str] = "logs"
    kind: ClassVar[str] = "alert"
    category: ClassVar[tuple[str, ...]] = ("host",)
    type: ClassVar[tuple[str, ...]] = ("change",)

    at: float = dataclasses.field()
    event_id: str | None = None
    action: str = required("event.action")
    rule_id: str = required("rule.id")
    rule_name: str = required("rule.name")
    rule_ruleset: str = named("rule.ruleset", default="llmops")
    rule_version: str = named("rule.version", default="1")
    severity_number: int = named("event.severity", "long", default=0)
    severity: str = named("llmops.alert.severity", default="ticket")
    state: str = named("llmops.alert.state", default="inactive")
    fingerprint: str = named("llmops.alert.fingerprint", default="")
    value: float | None = named("llmops.alert.value", "double")
    threshold: float | None = named("llmops.alert.threshold", "double")
    reason: str = named("event.reason", default="")
    start: float | None = named("event.start", "date")
    end: float | None = named("event.end", "date")
    duration_ns: int | None = named("event.duration", "long")
    slo_name: str | None = named("llmops.slo.name")
    slo_target: float | None = named("llmops.slo.target", "double")
    slo_window: str | None = named("llmops.slo.window")
    slo_total: int | None = named("llmops.slo.total", "long")
    slo_good: int | None = named("llmops.slo.good", "long")
    slo_bad: int | None = named("llmops.slo.bad", "long")
    burn_rate_short: float | None = named("llmops.slo.burn_rate_short", "double")
    burn_rate_long: float | None = named("llmops.slo.burn_rate_long", "double")
    window_short: str | None = named("llmops.slo.window_short")
    window_long: str | None = named("llmops.slo.window_long")
    budget_remaining: float | None = named("llmops.slo.error_budget_remaining", "double")
    exemplars: tuple[str, ...] = named("llmops.alert.exemplars", default=())
    channel: str | None = named("llmops.notification.channel")
    channel_outcome: str | None = named("llmops.notification.outcome")
    channel_attempts: int | None = named("llmops.notification.attempts", "long")

    def message(self) -> str:
        """One human line."""
        return f"alert {self.rule_name} {self.action}: {self.reason}"

    def level(self) -> str:
        """A firing page is an error in the log, and so is an alert that nobody could be told of."""
        if self.channel is not None:
            return "DEBUG" if self.channel_outcome == "success" else "ERROR"
        if self.action == "firing":
            return "ERROR" if self.severity == "page" else "WARNING"
        return "INFO"


Event: TypeAlias = RequestEvent | SampleEvent | AlertEvent | BenchmarkEvent
EVENT_TYPES: tuple[type[Event], ...] = (RequestEvent, SampleEvent, AlertEvent, BenchmarkEvent)
