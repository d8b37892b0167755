"""Prometheus metrics: vLLM's names where the meaning is the same, so that its boards work, and our own beside them."""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from llmops.events import Event, RequestEvent
from llmops.events.snapshot import ServeSnapshot

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 3.0, 5.0, 10.0, 30.0, 60.0, 120.0)
"""Edges in seconds; 3.0 is one, so that the default objective can be read off."""
_TOKEN_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 1.0, 2.5)


class Metrics:
    """Counters and histograms are fed by events, gauges are read from the snapshot at each scrape."""

    def __init__(self, snapshot: Callable[[], ServeSnapshot]) -> None:
        self._snapshot = snapshot
        self._registry = CollectorRegistry()
        self.outcomes: dict[str, int] = {}
        self.refusals: dict[str, int] = {}
        self._build_counters()
        self._build_gauges()

    def observe(self, event: Event) -> None:
        """Count a request; other events are not metrics."""
        if not isinstance(event, RequestEvent):
            return
        self.outcomes[event.outcome] = self.outcomes.get(event.outcome, 0) + 1
        if event.error_type is not None:
            self.refusals[event.error_type] = self.refusals.get(event.error_type, 0) + 1
        self._requests.labels(event.outcome, event.error_type or "", str(event.status_code)).inc()
        self._prompt_tokens.inc(event.input_tokens or 0)
        self._output_tokens.inc(event.output_tokens or 0)
        if event.outcome == "success":
            self._success.labels("/".join(event.finish_reasons)).inc()
            self._e2e.observe(event.duration_s)
        for histogram, value in (
            (self._ttft, event.ttft_s),
            (self._tpot, event.tpot_s),
            (self._queue, event.queue_s),
            (self._prefill, event.prefill_s),
            (self._decode, event.decode_s),
        ):
            if value is not None:
                histogram.observe(max(0.0, value))

    def expose(self) -> bytes:
        """The text of `/metrics`."""
        snapshot = self._snapshot()
        self._running.set(snapshot.running)
        self._waiting.set(snapshot.waiting)
        self._waiting_limit.set(snapshot.waiting_capacity)
        self._ready.set(snapshot.state == "ready")
        self._dropped.set(snapshot.events_dropped)
        if snapshot.kv_cache_utilization is not None:
            self._kv_cache.set(snapshot.kv_cache_utilization)
        return generate_latest(self._registry)

    def _build_counters(self) -> None:
        registry = self._registry
        self._requests = Counter(
            "llmops_requests", "Requests by what became of them", ("outcome", "error_type", "status"), registry=registry
        )
        self._success = Counter("vllm:request_success", "Finished requests", ("finished_reason",), registry=registry)
        self._prompt_tokens = Counter("vllm:prompt_tokens", "Prompt tokens read", registry=registry)
        self._output_tokens = Counter("vllm:generation_tokens", "Tokens written", registry=registry)
        self._ttft = self._histogram("vllm:time_to_first_token_seconds", "Arrival to first token, queue included")
        self._tpot = Histogram(
            "vllm:request_time_per_output_token_seconds",
            "Mean time per token after the first",
            buckets=_TOKEN_SECONDS,
            registry=registry,
        )
        self._e2e = self._histogram("vllm:e2e_request_latency_seconds", "Arrival to last token")
        self._queue = self._histogram("vllm:request_queue_time_seconds", "Time in the queue")
        self._prefill = self._histogram("vllm:request_prefill_time_seconds", "Turn to first token")
        self._decode = self._histogram("vllm:request_decode_time_seconds", "First to last token")

    def _build_gauges(self) -> None:
        registry = self._registry
        self._running = Gauge("vllm:num_requests_running", "Requests that generate", registry=registry)
        self._waiting = Gauge("vllm:num_requests_waiting", "Requests in the queue", registry=registry)
        self._kv_cache = Gauge("vllm:kv_cache_usage_perc", "Share of the KV cache in use, 0..1", registry=registry)
        self._waiting_limit = Gauge("llmops_queue_capacity", "Requests that may wait", registry=registry)
        self._ready = Gauge("llmops_ready", "1 while requests are served", registry=registry)
        self._dropped = Gauge("llmops_events_dropped", "Events lost since the start", registry=registry)

    def _histogram(self, name: str, text: str) -> Histogram:
        return Histogram(name, text, buckets=_SECONDS, registry=self._registry)
