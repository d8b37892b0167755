"""Prometheus metrics: what vLLM has too under its names, and our own beside them."""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, generate_latest

from llmops.admission.refusals import DeadlinePassed, Refusal
from llmops.api.vllm_metrics import VllmMetrics
from llmops.events import Bus, Emit, Event, Record, RequestEvent
from llmops.events.snapshot import ServeSnapshot

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class Metrics:
    """Counters and histograms are fed by events, gauges are read from the snapshot at each scrape."""

    def __init__(self, snapshot: Callable[[], ServeSnapshot]) -> None:
        self._snapshot = snapshot
        self._model: str | None = None
        self._registry = CollectorRegistry()
        self._vllm = VllmMetrics(self._registry)
        self.outcomes: dict[str, int] = {}
        self.refusals: dict[str, int] = {}
        self._build()

    def observe(self, event: Event) -> None:
        """Count a request; other events are not metrics."""
        if not isinstance(event, RequestEvent):
            return
        slug = event.error_type
        self.outcomes[event.outcome] = self.outcomes.get(event.outcome, 0) + 1
        if slug is not None:
            self.refusals[slug] = self.refusals.get(slug, 0) + 1
        self._requests.labels(event.operation, event.outcome, slug or "", str(event.status_code)).inc()
        if slug in self._refused:
            self._refused[slug].inc()
        elif event.operation == "embeddings":
            self._embedding_tokens.inc(event.input_tokens or 0)
        elif event.response_model is not None and event.queue_depth is not None:
            self._vllm.of(event.response_model).finished(event)

    def counted(self, bus: Bus) -> tuple[Emit, Record]:
        """Both ways to hand an event to the bus, each of which counts it first."""

        def emit(event: Event) -> None:
            self.observe(event)
            bus.emit(event)

        async def record(event: Event) -> None:
            self.observe(event)
            await bus.record(event)

        return emit, record

    def gap(self, seconds: float) -> None:
        """A token came so long after the one before it."""
        if self._model is None:
            self._model = self._snapshot().model.id
        self._vllm.of(self._model).gap(seconds)

    def expose(self) -> bytes:
        """The text of `/metrics`."""
        snapshot = self._snapshot()
        if snapshot.model.version:  # while it loads, its name is what the operator wrote
            self._vllm.of(snapshot.model.id).scraped(snapshot)
        self._waiting_limit.set(snapshot.waiting_capacity)
        self._ready.set(snapshot.state == "ready")
        self._dropped.set(snapshot.events_dropped)
        self._held.set(snapshot.events_waiting)
        for thread, is_alive in snapshot.threads.items():
            self._threads.labels(thread).set(is_alive)
        return generate_latest(self._registry)

    def _build(self) -> None:
        registry = self._registry
        self._requests = Counter(
            "llmops_requests",
            "Requests by what became of them",
            ("operation", "outcome", "error_type", "status"),
            registry=registry,
        )
        refusals = Counter("llmops_refusals", "Requests that were not let in", ("reason",), registry=registry)
        # All of them from the start: a rate over a series that begins with its first refusal misses that one.
        slugs = {kind.slug for kind in Refusal.__subclasses__() if kind is not DeadlinePassed}
        self._refused = {slug: refusals.labels(slug) for slug in sorted(slugs)}
        self._embedding_tokens = Counter("llmops_embedding_tokens", "Tokens embedded", registry=registry)
        self._waiting_limit = Gauge("llmops_queue_capacity", "Requests that may wait", registry=registry)
        self._ready = Gauge("llmops_ready", "1 while requests are served", registry=registry)
        self._threads = Gauge("llmops_thread_up", "1 while this thread lives", ("thread",), registry=registry)
        self._held = Gauge("llmops_events_waiting", "Events in memory that the journal has not", registry=registry)
        self._dropped = Gauge("llmops_events_dropped", "Events lost since the start", registry=registry)
