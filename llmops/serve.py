"""`llmops serve`: the process that answers. Wiring only: every part it names is a station of its own."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import gc
import importlib.metadata
import logging
import os
import threading
import time
from typing import Any

import uvloop

from llmops.admission.keys import BadKeys
from llmops.api.app import create_app
from llmops.api.arriving import BodyLimits
from llmops.api.file_limit import raise_file_limit
from llmops.api.live import LiveFeed
from llmops.api.metrics import Metrics
from llmops.api.server import Server
from llmops.api.station import Station
from llmops.assembly import (
    Start,
    connection_limits_of,
    defaults_of,
    embeddings_of,
    engine_of,
    gate_of,
    inference_of,
    prepare,
    speed_of,
)
from llmops.engine.contract import ModelCard
from llmops.engine.errors import EngineError
from llmops.events import Bus, SampleEvent
from llmops.gpu.contract import Sampler, SamplerUnavailable
from llmops.gpu.loop import SamplingLoop
from llmops.inference.embedding import Embeddings
from llmops.inference.meter import TokenMeter
from llmops.inference.speed_record import SpeedRecord
from llmops.recording import open_record
from llmops.settings import EngineSettings, ServeSettings, Settings
from llmops.state.deferred import EVERY_S, DeferredWrites
from llmops.state.files import is_passing, sentence_of

_log = logging.getLogger(__name__)
CANNOT_WORK = 2
_LINGER_S = 5.0
_COLLECT_AFTER = (20_000, 50, 100)
_ENVIRONMENT = ("torch", "transformers", "bitsandbytes")


def run(settings: Settings) -> int:
    """Serve until SIGTERM; returns the exit code."""
    try:
        start = prepare(settings)
    except (SamplerUnavailable, BadKeys) as error:
        _log.error("%s", error)
        return CANNOT_WORK
    except OSError as error:
        _log.error("%s", sentence_of(error))
        return 1 if is_passing(error) else CANNOT_WORK
    with contextlib.closing(start.sock):
        return uvloop.run(_serve(settings, start))


async def _serve(settings: Settings, start: Start) -> int:
    url, instance_id = start.url, start.instance_id
    feed = LiveFeed()
    bus = open_record(settings, "serve", instance_id=instance_id, sinks=(feed,))
    engine = engine_of(settings.engine, settings.state.directory, settings.admission.spare_running)
    gate = gate_of(settings.admission, settings.engine)
    station = Station(
        engine=engine,
        gate=gate,
        meter=TokenMeter(),
        bus=bus,
        instance_id=instance_id,
        process_id=os.getpid(),
        started_at=time.time(),
        previous_exit=start.previous_exit,
        model_name=_name_while_loading(settings.engine),
        environment=_versions(),
        sample_interval_s=settings.gpu.interval_s,
        request_defaults=defaults_of(settings),
        speed=speed_of(settings),
    )
    metrics = _metrics(station)

    emit, record = metrics.counted(bus)
    inference = inference_of(settings, station.engine, gate, station.meter, emit, record, start.user_key, station.speed)
    sampling = _sampling(start.sampler, settings.gpu.interval_s, station, bus)
    embeddings = embeddings_of(settings, gate)
    app = create_app(
        station,
        inference,
        metrics,
        feed,
        limits=BodyLimits(settings.serve.max_body_bytes),
        door=start.door,
        embeddings=embeddings,
        cors_origins=settings.serve.cors_origins,
        forwards=settings.engine.kind == "upstream",
    )
    server = _server(app, station, feed, settings.serve)
    keeper = asyncio.create_task(_keep(station, server, url, embeddings, _speed_record(settings, station, bus)))
    deferred = asyncio.create_task(_write_deferred(start.deferred))
    sampling.start()
    try:
        await server.run_on(start.sock)
    finally:
        sampling.stop()
        server.finish()
        deferred.cancel()
        code = await _end(keeper)
        await engine.stop()
        if embeddings is not None:
            await embeddings.engine.stop()
        if not bus.close():
            _log.warning("the last events could not be written in time")
        start.run_file.end()
        _end_within(_LINGER_S, code)
    return code


def _metrics(station: Station) -> Metrics:
    metrics = Metrics(station.snapshot)
    station.outcomes, station.refusals = metrics.outcomes, metrics.refusals
    station.meter.on_gap = metrics.gap
    return metrics


def _speed_record(settings: Settings, station: Station, bus: Bus) -> SpeedRecord:
    admission = settings.admission
    return SpeedRecord(
        station.speed,
        bus.emit,
        default_max_tokens=admission.default_max_tokens,
        deadline_s=admission.deadline_s,
        latency_threshold_s=settings.objectives.latency_threshold_s,
    )


def _server(app: Any, station: Station, feed: LiveFeed, settings: ServeSettings) -> Server:
    limits = connection_limits_of(settings, raise_file_limit())
    _log.debug("at most %d connections", limits.max_connections)
    return Server(
        app, lambda: _drain(station, feed, settings.drain_deadline_s), lambda: station.gate.is_crowded, limits
    )


async def _keep(station: Station, server: Server, url: str, embeddings: Embeddings | None, speed: SpeedRecord) -> int:
    """Returns the exit code. Whatever ends it ends serve, which never runs without anything that watches its engine."""
    try:
        return await _load_and_watch(station, url, embeddings, speed)
    finally:
        server.finish()


async def _load_and_watch(station: Station, url: str, embeddings: Embeddings | None, speed: SpeedRecord) -> int:
    """Load the model while health already answers; then wait for the engine to die for good.

    Returns the exit code: a model that cannot be loaded would fail again, a dead engine may live again.
    """
    started = time.monotonic()
    _announce_loading(station)
    try:
        if embeddings is not None:  # first: the cache of the other one takes what memory is left
            await embeddings.engine.start()
        await station.engine.start()
    except EngineError as error:
        if station.gate.draining:  # told to end while it loaded
            return 0
        _log.error("%s", error)
        return CANNOT_WORK
    except Exception:
        _log.exception("loading the model failed")
        return 1
    _settle_memory()
    card, loaded_s = station.engine.card, time.monotonic() - started
    gate = station.gate
    told = await speed.begin(station.engine, lambda: gate.draining or gate.running + gate.waiting > 0)
    _log.info("%s is ready on %s after %.1f s%s; %s", card.id, url, loaded_s, _told_of(card), told)
    while station.engine.health().state != "dead":
        await asyncio.sleep(0.5)
        speed.follow()
    if station.gate.draining:
        return 0
    _log.error("the engine is dead (%s): ending, so that whoever supervises can start afresh", station.engine.health())
    return 1


async def _write_deferred(deferred: DeferredWrites) -> None:
    while True:
        await asyncio.sleep(EVERY_S)
        try:
            await asyncio.to_thread(deferred.retry)
        except Exception:  # it must go on: the files of a start are still not written
            _log.exception("writing what a full disk refused at the start failed")


def _told_of(card: ModelCard) -> str:
    """What a start says of the model besides its speed: memory, and the longest conversation."""
    memory = card.memory_sentence()
    return f": {memory}, prompt and answer up to {card.max_model_len:,} tokens" if memory else ""


def _settle_memory() -> None:
    """What was loaded stays: to walk it again, the collector would stop every answer for a quarter of a second.

    It looks rarely: what a request leaves in cycles is little, and looking took 7 % of a core's answers under overload.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*_COLLECT_AFTER)


def _end_within(seconds: float, code: int) -> None:
    """A step that hangs keeps its thread, and the thread the process: all is written, nothing is left to wait for."""

    def leave() -> None:
        time.sleep(seconds)
        os._exit(code)

    threading.Thread(target=leave, name="last-resort", daemon=True).start()


async def _end(keeper: asyncio.Task[int]) -> int:
    if not keeper.done():
        keeper.cancel()
    try:
        return await keeper
    except asyncio.CancelledError:
        return 0
    except Exception:
        _log.exception("watching over the engine failed")
        return 1


async def _drain(station: Station, feed: LiveFeed, deadline_s: float) -> None:
    """Nothing new enters; what runs may finish until the deadline, and is then told that the engine stopped."""
    station.gate.drain()
    feed.close()
    _log.info("draining: %d running, %d waiting", station.gate.running, station.gate.waiting)
    deadline = time.monotonic() + deadline_s
    while station.gate.running + station.gate.waiting and time.monotonic() < deadline:
        await asyncio.sleep(0.02)
    await station.engine.stop()


def _announce_loading(station: Station) -> None:
    _log.info("loading %s", station.model_name)
    if station.model_name == "llmops-demo":
        _log.info(
            "no model was named, so this is the demo model: it is tiny and only knows about llmops. "
            "A real one: `llmops serve Qwen/Qwen2.5-0.5B-Instruct`, or the path of a local folder."
        )


def _name_while_loading(settings: EngineSettings) -> str:
    if settings.kind == "echo":
        return "echo"
    return settings.model or ("upstream" if settings.kind == "upstream" else "llmops-demo")


def _sampling(sampler: Sampler, interval_s: float, station: Station, bus: Bus) -> SamplingLoop:
    def decorate(sample: SampleEvent) -> SampleEvent:
        gate = station.gate
        if station.card is None:
            return sample
        stats = station.engine.stats()
        return dataclasses.replace(
            sample,
            requests_running=gate.running,
            requests_waiting=gate.waiting,
            kv_cache_utilization=stats.kv_cache_utilization,
            torch_allocated_bytes=stats.torch_allocated_bytes,
            torch_reserved_bytes=stats.torch_reserved_bytes,
        )

    loop = SamplingLoop(sampler, bus.emit, interval_s, decorate)
    station.devices = lambda: tuple(loop.latest)
    station.is_sampling = lambda: loop.is_alive
    return loop


def _versions() -> dict[str, str]:
    found = {}
    for name in _ENVIRONMENT:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            found[name] = importlib.metadata.version(name)
    return found
