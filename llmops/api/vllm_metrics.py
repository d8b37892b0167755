"""The metrics that vLLM has too, under its names, labels and meanings, so that its boards and screens work here.

Names and meanings: https://docs.vllm.ai/en/stable/usage/metrics/. What has no meaning here stays out:
`vllm:cache_config_info` lists another engine's dials, and preemption and speculation do not happen.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from llmops.events import RequestEvent
from llmops.events.snapshot import ServeSnapshot

_LABELS = ("model_name", "engine")
_ENGINE = "0"
_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 3.0, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0)
"""Edges in seconds; 3.0 is one, so that the default objective can be read off."""
_TOKEN_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 1.0, 2.5)
_TOKENS = tuple(digit * 10**power for power in range(6) for digit in (1, 2, 5))
_COUNTERS = {
    "prompt_tokens": "Prompt tokens read",
    "generation_tokens": "Tokens written",
    "prefix_cache_queries": "Prompt tokens looked up in the prefix cache",
    "prefix_cache_hits": "Prompt tokens found in the prefix cache",
}
_GAUGES = {
    "num_requests_running": "Requests that generate",
    "num_requests_waiting": "Requests in the queue",
    "kv_cache_usage_perc": "Share of the KV cache in use, 0..1",
}
_HISTOGRAMS: dict[str, tuple[str, Sequence[float]]] = {
    "time_to_first_token_seconds": ("Arrival to first token, queue included", _SECONDS),
    "inter_token_latency_seconds": ("Between two tokens, all gaps pooled", _TOKEN_SECONDS),
    "request_time_per_output_token_seconds": ("Mean time per token after the first", _TOKEN_SECONDS),
    "e2e_request_latency_seconds": ("Arrival to last token", _SECONDS),
    "request_queue_time_seconds": ("Time in the queue", _SECONDS),
    "request_inference_time_seconds": ("Turn to last token", _SECONDS),
    "request_prefill_time_seconds": ("Turn to first token", _SECONDS),
    "request_decode_time_seconds": ("First to last token", _SECONDS),
    "request_prompt_tokens": ("Prompt tokens of a request", _TOKENS),
    "request_generation_tokens": ("Tokens written by a request", _TOKENS),
    "request_max_num_generation_tokens": ("Tokens of a request's longest choice; there is one", _TOKENS),
    "request_params_max_tokens": ("max_tokens as requests ask for it", _TOKENS),
}


class VllmMetrics:
    """Families of one registry; a model's series appear with its first scrape or request."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._counters = {
            name: Counter(f"vllm:{name}", text, _LABELS, registry=registry) for name, text in _COUNTERS.items()
        }
        self._gauges = {name: Gauge(f"vllm:{name}", text, _LABELS, registry=registry) for name, text in _GAUGES.items()}
        self._histograms = {
            name: Histogram(f"vllm:{name}", text, _LABELS, buckets=buckets, registry=registry)
            for name, (text, buckets) in _HISTOGRAMS.items()
        }
        success = "Finished requests; abort: the client left"
        self._success = Counter("vllm:request_success", success, (*_LABELS, "finished_reason"), registry=registry)

    @functools.cache  # noqa: B019 - one object a process, one model in it
    def of(self, model: str) -> _Series:
        """The series of one model."""
        labels = (model, _ENGINE)
        return _Series(
            {name: family.labels(*labels) for name, family in self._counters.items()},
            {name: family.labels(*labels) for name, family in self._gauges.items()},
            {name: family.labels(*labels) for name, family in self._histograms.items()},
            {reason: self._success.labels(*labels, reason) for reason in ("stop", "length", "abort")},
        )


class _Series:
    def __init__(
        self,
        counters: dict[str, Counter],
        gauges: dict[str, Gauge],
        histograms: dict[str, Histogram],
        finished: dict[str, Counter],
    ) -> None:
        self._counters, self._gauges, self._histograms, self._finished = counters, gauges, histograms, finished

    def gap(self, seconds: float) -> None:
        """A token came so long after the one before it."""
        self._histograms["inter_token_latency_seconds"].observe(seconds)

    def scraped(self, snapshot: ServeSnapshot) -> None:
        """Set what is true of this moment."""
        self._gauges["num_requests_running"].set(snapshot.running)
        self._gauges["num_requests_waiting"].set(snapshot.waiting)
        if snapshot.kv_cache_utilization is not None:
            self._gauges["kv_cache_usage_perc"].set(snapshot.kv_cache_utilization)

    def finished(self, event: RequestEvent) -> None:
        """Count a request that was admitted, whatever became of it."""
        self._counters["prompt_tokens"].inc(event.input_tokens or 0)
        self._counters["generation_tokens"].inc(event.output_tokens or 0)
        if event.cached_tokens is not None:
            self._counters["prefix_cache_queries"].inc(event.input_tokens or 0)
            self._counters["prefix_cache_hits"].inc(event.cached_tokens)
        if event.outcome == "unknown":
            self._finished["abort"].inc()
        for reason in event.finish_reasons:
            self._finished[reason].inc()
        for name, value in _times(event).items():
            if value is not None:
                self._histograms[name].observe(max(0.0, value))


def _times(event: RequestEvent) -> dict[str, float | None]:
    is_whole = event.outcome == "success"
    prefill_s, decode_s = event.prefill_s, event.decode_s
    busy_s = prefill_s + decode_s if prefill_s is not None and decode_s is not None else None
    return {
        "time_to_first_token_seconds": event.ttft_s,
        "request_time_per_output_token_seconds": event.tpot_s,
        "request_queue_time_seconds": event.queue_s,
        "request_prefill_time_seconds": prefill_s,
        "request_decode_time_seconds": decode_s,
        "request_params_max_tokens": event.max_tokens,
        "e2e_request_latency_seconds": event.duration_s if is_whole else None,
        "request_inference_time_seconds": busy_s if is_whole else None,
        "request_prompt_tokens": event.input_tokens if is_whole else None,
        "request_generation_tokens": event.output_tokens if is_whole else None,
        "request_max_num_generation_tokens": event.output_tokens if is_whole else None,
    }
