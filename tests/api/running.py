"""A whole API on a free port inside the test's own event loop, with the echo engine and a record that is kept."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import time
from collections.abc import AsyncIterator, Sequence

import httpx

from llmops.admission.bucket import Buckets
from llmops.admission.gate import Gate
from llmops.api.app import create_app
from llmops.api.arriving import BodyLimits
from llmops.api.correlation import new_id
from llmops.api.door import Door
from llmops.api.live import LiveFeed
from llmops.api.metrics import Metrics
from llmops.api.server import Server, bind
from llmops.api.station import Station
from llmops.engine.contract import Engine
from llmops.engine.dials import EchoDials
from llmops.engine.echo import EchoEngine
from llmops.engine.embedding import EmbeddingEngine
from llmops.events import Bus, Document, Event, Origin, RequestEvent
from llmops.inference.embedding import Embeddings
from llmops.inference.meter import TokenMeter
from llmops.inference.route import Inference

ORIGIN = Origin(
    service_name="serve",
    service_version="0",
    instance_id="test",
    host_name="box",
    host_id="box",
    process_id=1,
)


class Kept:
    """A sink that keeps what it is given."""

    def __init__(self) -> None:
        self.documents: list[Document] = []

    def write(self, documents: Sequence[Document]) -> None:
        self.documents.extend(documents)

    def close(self) -> None:
        pass


@dataclasses.dataclass
class Running:
    """A server that answers at `url`, and everything that it recorded."""

    url: str
    engine: Engine
    station: Station
    server: Server
    requests: list[RequestEvent]
    kept: Kept

    async def settled(self, count: int) -> list[RequestEvent]:
        """The request events, once there are `count` of them."""
        async with asyncio.timeout(10):
            while len(self.requests) < count:
                await asyncio.sleep(0.005)
        return self.requests


@contextlib.asynccontextmanager
async def running(
    engine: Engine | None = None,
    *,
    max_running: int = 16,
    queue_size: int = 100,
    rate_per_s: float = 1e6,
    burst: int = 1_000_000,
    deadline_s: float = 30.0,
    drain_s: float = 5.0,
    max_body_bytes: int = 1 << 20,
    body_within_s: float = 30.0,
    start: bool = True,
    embedding: EmbeddingEngine | None = None,
    cors_origins: Sequence[str] = (),
    door: Door | None = None,
    forwards: bool = False,
) -> AsyncIterator[Running]:
    """Start everything, and end it whatever the test did."""
    engine = engine or EchoEngine(EchoDials(tokens_per_s=500.0, ttft_s=0.01))
    sock = bind("127.0.0.1", 0)
    gate = Gate(
        max_running=max_running,
        queue_size=queue_size,
        buckets=Buckets(rate_per_s=rate_per_s, burst=burst),
        clock=time.monotonic,
    )
    kept, feed, requests = Kept(), LiveFeed(), list[RequestEvent]()
    bus = Bus(ORIGIN, (kept, feed))
    station = Station(
        engine=engine,
        gate=gate,
        meter=TokenMeter(),
        bus=bus,
        instance_id="test",
        process_id=1,
        started_at=time.time(),
        previous_exit="none",
        model_name="echo",
    )
    metrics = Metrics(station.snapshot)
    station.outcomes, station.refusals = metrics.outcomes, metrics.refusals
    station.meter.on_gap = metrics.gap

    def emit(event: Event) -> None:
        metrics.observe(event)
        bus.emit(event)
        if isinstance(event, RequestEvent):
            requests.append(event)

    async def record(event: Event) -> None:
        metrics.observe(event)
        requests.extend([event] if isinstance(event, RequestEvent) else [])
        await bus.record(event)

    inference = Inference(
        engine,
        gate,
        emit,
        record=record,
        meter=station.meter,
        user_key=b"key",
        deadline_s=deadline_s,
        new_id=new_id,
    )

    async def drain() -> None:
        gate.drain()
        feed.close()
        deadline = time.monotonic() + drain_s
        while gate.running + gate.waiting and time.monotonic() < deadline:
            await asyncio.sleep(0.01)
        await engine.stop()

    embeddings = None
    if embedding is not None:
        vectors_gate = Gate(
            max_running=2,
            queue_size=queue_size,
            buckets=Buckets(rate_per_s=rate_per_s, burst=burst),
            clock=time.monotonic,
        )
        embeddings = Embeddings(embedding, vectors_gate, gate, deadline_s=deadline_s)
    app = create_app(
        station,
        inference,
        metrics,
        feed,
        limits=BodyLimits(max_body_bytes, body_within_s),
        door=door,
        embeddings=embeddings,
        cors_origins=cors_origins,
        forwards=forwards,
    )
    server = Server(app, drain, is_crowded=lambda: gate.is_crowded)
    if start:
        await engine.start()
        if embedding is not None:
            await embedding.start()
    serving = asyncio.create_task(server.run_on(sock))
    url = f"http://127.0.0.1:{sock.getsockname()[1]}"
    async with httpx.AsyncClient() as http:
        while not server.started:
            await asyncio.sleep(0.005)
        await http.get(f"{url}/health/live")
    try:
        yield Running(url, engine, station, server, requests, kept)
    finally:
        server.finish()
        await serving
        bus.close()
        sock.close()
