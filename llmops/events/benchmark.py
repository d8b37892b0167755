"""The document of a benchmark; units as in `documents.py`."""

from __future__ import annotations

import dataclasses
from typing import ClassVar

from llmops.events.names import named, required
from llmops.events.speed import SUITE, StreamSpeed

CANARY = "canary"
"""The suite of a benchmark that is a single tiny question."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class BenchmarkEvent:
    """One run of the self-benchmark, or of the canary, measured from outside as an HTTP client; or the speed of one
    answer, which serve measures at its start and learns from requests (suite `speed`)."""

    dataset: ClassVar[str] = "llmops.benchmark"
    stream_type: ClassVar[str] = "logs"
    kind: ClassVar[str] = "metric"
    category: ClassVar[tuple[str, ...]] = ("process",)
    type: ClassVar[tuple[str, ...]] = ("info",)

    at: float = dataclasses.field()
    benchmark_id: str = required("llmops.benchmark.id")
    suite: str = named("llmops.benchmark.suite", default="self")
    name: str = named("llmops.benchmark.name", default="chat")
    version: str = named("llmops.benchmark.version", default="1")
    trigger: str = named("llmops.benchmark.trigger", default="manual")
    concurrency: int = named("llmops.benchmark.concurrency", "long", default=1)
    max_tokens: int | None = named("llmops.benchmark.max_tokens", "long")
    url: str | None = named("llmops.benchmark.url")
    completed: int = named("llmops.benchmark.requests.completed", "long", default=0)
    failed: int = named("llmops.benchmark.requests.failed", "long", default=0)
    duration_s: float = named("llmops.benchmark.duration", "double", default=0.0)
    requests_per_s: float | None = named("llmops.benchmark.throughput.requests", "double")
    output_tokens_per_s: float | None = named("llmops.benchmark.throughput.output_tokens", "double")
    total_tokens_per_s: float | None = named("llmops.benchmark.throughput.total_tokens", "double")
    input_tokens_per_s: float | None = named("llmops.benchmark.throughput.input_tokens", "double")
    default_max_tokens: int | None = named("llmops.benchmark.default_max_tokens", "long")
    goodput_per_s: float | None = named("llmops.benchmark.goodput.requests", "double")
    ttft_mean_s: float | None = named("llmops.benchmark.ttft.mean", "double")
    ttft_p50_s: float | None = named("llmops.benchmark.ttft.p50", "double")
    ttft_p95_s: float | None = named("llmops.benchmark.ttft.p95", "double")
    ttft_p99_s: float | None = named("llmops.benchmark.ttft.p99", "double")
    tpot_mean_s: float | None = named("llmops.benchmark.tpot.mean", "double")
    tpot_p50_s: float | None = named("llmops.benchmark.tpot.p50", "double")
    tpot_p95_s: float | None = named("llmops.benchmark.tpot.p95", "double")
    tpot_p99_s: float | None = named("llmops.benchmark.tpot.p99", "double")
    itl_mean_s: float | None = named("llmops.benchmark.itl.mean", "double")
    itl_p50_s: float | None = named("llmops.benchmark.itl.p50", "double")
    itl_p95_s: float | None = named("llmops.benchmark.itl.p95", "double")
    itl_p99_s: float | None = named("llmops.benchmark.itl.p99", "double")
    e2e_mean_s: float | None = named("llmops.benchmark.e2e.mean", "double")
    e2e_p50_s: float | None = named("llmops.benchmark.e2e.p50", "double")
    e2e_p95_s: float | None = named("llmops.benchmark.e2e.p95", "double")
    e2e_p99_s: float | None = named("llmops.benchmark.e2e.p99", "double")
    peak_allocated_bytes: int | None = named("llmops.gpu.memory.peak_allocated", "long")
    request_model: str | None = named("gen_ai.request.model")
    model_version: str | None = named("llmops.model.version")
    quantization: str | None = named("llmops.model.quantization")
    dtype: str | None = named("llmops.model.dtype")
    engine: str | None = named("llmops.engine.name")
    device_name: str | None = named("hw.name")
    torch_version: str | None = named("llmops.environment.torch")
    transformers_version: str | None = named("llmops.environment.transformers")
    bitsandbytes_version: str | None = named("llmops.environment.bitsandbytes")
    cuda_version: str | None = named("llmops.environment.cuda")
    driver_version: str | None = named("llmops.environment.driver")
    baseline_id: str | None = named("llmops.benchmark.baseline.id")
    regression: bool | None = named("llmops.benchmark.regression", "boolean")
    delta_ttft_pct: float | None = named("llmops.benchmark.delta_pct.ttft_p50", "double")
    delta_throughput_pct: float | None = named("llmops.benchmark.delta_pct.output_tokens", "double")
    error_message: str | None = named("error.message", "text")

    def message(self) -> str:
        """One human line."""
        if self.suite == SUITE:
            return StreamSpeed(self.output_tokens_per_s, self.input_tokens_per_s).sentence()
        if self.suite == CANARY:
            return f"canary failed: {self.error_message}" if self.failed else f"canary: {self.e2e_p50_s or 0.0:.3f} s"
        return (
            f"benchmark {self.trigger}: {self.output_tokens_per_s or 0.0:.1f} tokens/s, "
            f"TTFT P50 {1000 * (self.ttft_p50_s or 0.0):.0f} ms, {self.failed} of "
            f"{self.completed + self.failed} failed"
        )

    def level(self) -> str:
        """A regression is a warning; a canary that comes back is no news."""
        if self.suite in (CANARY, SUITE) and not self.failed:
            return "DEBUG"
        return "WARNING" if self.regression or self.failed else "INFO"
