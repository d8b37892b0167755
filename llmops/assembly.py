"""From dials to the parts of a serve process: each function makes one part, and nothing runs yet."""

from __future__ import annotations

import contextlib
import dataclasses
import logging
import secrets
import socket
import time
from pathlib import Path

from llmops.admission.bucket import Buckets
from llmops.admission.gate import Gate
from llmops.admission.identity import is_loopback
from llmops.admission.locality import Locality
from llmops.api.arriving import BODY_WITHIN_S
from llmops.api.connection_table import ConnectionLimits
from llmops.api.correlation import new_id
from llmops.api.door import Door
from llmops.api.file_limit import connections_within
from llmops.api.front_end import FrontEndHeaders
from llmops.api.server import bind
from llmops.engine.build import build_embedding, build_engine
from llmops.engine.contract import Engine, Sampling
from llmops.engine.dials import EchoDials, EngineDials, UpstreamDials
from llmops.events import Emit, Record
from llmops.events.snapshot import RequestDefaults
from llmops.gpu.build import build_sampler
from llmops.gpu.contract import Sampler
from llmops.inference.embedding import Embeddings
from llmops.inference.meter import TokenMeter
from llmops.inference.route import Inference
from llmops.inference.speed import LengthLimits, SpeedEstimate
from llmops.keyfile import KeyFile
from llmops.runfile import PreviousExit, RunFile
from llmops.settings import AdmissionSettings, EngineSettings, ServeSettings, Settings
from llmops.state.deferred import DeferredWrites
from llmops.state.directory import require_safe
from llmops.state.files import UnusableFile, create, read_private

_log = logging.getLogger(__name__)
_KEY_BYTES, _MOST_KEY_BYTES = 32, 4096
_EMBEDDINGS_AT_ONCE = 4
"""They share one thread, a batch each in turn."""
_AFTER_THE_ROUTE_S = 5.0
"""A body that does not come is a route's 408; the connection waits so much longer."""


def engine_of(settings: EngineSettings, state: Path, spare_running: int) -> Engine:
    """The engine, not started; `spare_running` rows more than its own dial asks for."""
    dials = EngineDials(
        revision=settings.revision,
        dtype=settings.dtype,
        quantization=settings.quantization,
        device=settings.device,
        device_map=settings.device_map,
        max_memory=settings.max_memory,
        cpu_offload=settings.cpu_offload,
        compile=settings.compile,
        attention=settings.attention,
        torch_threads=settings.torch_threads,
        tensor_parallel=settings.tensor_parallel,
        offline=settings.offline,
        trust_remote_code=settings.trust_remote_code,
        cache_directory=state,
        max_running=settings.max_running + spare_running,
        max_model_len=settings.max_model_len,
        kv_cache_bytes=settings.kv_cache_bytes,
        sampling=Sampling(temperature=settings.temperature, top_p=settings.top_p, top_k=settings.top_k),
        stall_s=settings.stall_s,
        hang_s=settings.hang_s,
        echo=EchoDials(tokens_per_s=settings.echo_tokens_per_s, ttft_s=settings.echo_ttft_s),
        upstream=_upstream(settings),
    )
    return build_engine(settings.kind, settings.model, dials)


def _upstream(settings: EngineSettings) -> UpstreamDials:
    return UpstreamDials(
        url=settings.upstream_url,
        api_key=settings.upstream_api_key.get_secret_value() if settings.upstream_api_key else None,
        connect_timeout_s=settings.upstream_connect_timeout_s,
        read_timeout_s=settings.upstream_read_timeout_s,
        start_timeout_s=settings.upstream_start_timeout_s,
        retries=settings.upstream_retries,
        look_every_s=settings.upstream_look_every_s,
        dead_after_s=settings.upstream_dead_after_s,
    )


def gate_of(admission: AdmissionSettings, engine: EngineSettings) -> Gate:
    """Who may enter, and how many wait."""
    per_minute = admission.tokens_per_minute
    return Gate(
        max_running=engine.max_running,
        queue_size=admission.queue_size,
        buckets=Buckets(rate_per_s=admission.rate_per_s, burst=admission.burst),
        clock=time.monotonic,
        spare_running=admission.spare_running,
        spare_queue=admission.spare_queue,
        user_share=admission.user_share,
        queue_tokens=admission.queue_tokens,
        token_buckets=None if per_minute is None else Buckets(rate_per_s=per_minute / 60, burst=per_minute),
    )


def door_of(settings: Settings) -> Door:
    """Follows the file of keys. Raises BadKeys when it cannot be read: nobody should find out by being let in."""
    rule, host, file = settings.admission.keys, settings.serve.host, KeyFile(settings.state.directory)
    exposed = not is_loopback(host) and host != "localhost"
    if rule == "off":
        if exposed:
            _log.warning("admission.keys is off and serve listens on %s: whoever reaches it may use the model", host)
    elif not file.read().keys and (exposed or settings.serve.behind_proxy or rule == "required"):
        everyone = rule == "required" or settings.serve.behind_proxy
        who = "every answer" if everyone else "whoever is not on this machine"
        _log.warning(
            "no API key exists, and %s needs one: until then such requests get 401. `llmops keys create NAME` "
            "makes one (state directory %s); serve notices at once.",
            who,
            settings.state.directory,
        )
    front_end = FrontEndHeaders(
        end_user=settings.admission.end_user_header, background=settings.admission.background_header
    )
    return Door(rule, file.ring, _locality_of(settings.serve), front_end)


def _locality_of(settings: ServeSettings) -> Locality:
    anywhere = ("", "0.0.0.0", "::")  # noqa: S104 - to bind; no client names them
    names = (*settings.allowed_hosts, *(() if settings.host in anywhere else (settings.host,)))
    return Locality(
        hosts=frozenset(name.lower().removesuffix(".") for name in names),
        origins=frozenset(origin.lower() for origin in settings.cors_origins if origin != "*"),
        behind_proxy=settings.behind_proxy,
    )


def connection_limits_of(settings: ServeSettings, file_limit: int) -> ConnectionLimits:
    """What a client may send and hold, within so many open files."""
    return ConnectionLimits(
        max_header_bytes=settings.max_header_bytes,
        max_body_bytes=settings.max_body_bytes,
        header_timeout_s=settings.header_timeout_s,
        body_timeout_s=BODY_WITHIN_S + _AFTER_THE_ROUTE_S,
        keep_alive_s=settings.keep_alive_s,
        max_connections=connections_within(file_limit),
        max_per_address=settings.max_connections_per_address,
    )


def embeddings_of(settings: Settings, front: Gate) -> Embeddings | None:
    """Vectors, where a model for them is named; `front` drains both gates."""
    model = settings.engine.embedding_model
    if model is None:
        return None
    admission = settings.admission
    buckets = Buckets(rate_per_s=admission.rate_per_s, burst=admission.burst)
    gate = Gate(max_running=_EMBEDDINGS_AT_ONCE, queue_size=admission.queue_size, buckets=buckets, clock=time.monotonic)
    return Embeddings(
        build_embedding(model, EngineDials(device=settings.engine.device, offline=settings.engine.offline)),
        gate,
        front,
        deadline_s=admission.deadline_s,
    )


def inference_of(
    settings: Settings,
    engine: Engine,
    gate: Gate,
    meter: TokenMeter,
    emit: Emit,
    record: Record,
    user_key: bytes,
    speed: SpeedEstimate,
) -> Inference:
    """The pipeline of a request through these parts; without a journal no answer waits for its event."""
    return Inference(
        engine,
        gate,
        emit,
        record=record if settings.events.enabled else None,
        meter=meter,
        user_key=user_key,
        record_user=settings.events.record_user,
        deadline_s=settings.admission.deadline_s,
        default_max_tokens=settings.admission.default_max_tokens,
        stop_loops=settings.engine.stop_loops,
        speed=speed,
        new_id=new_id,
    )


def speed_of(settings: Settings) -> SpeedEstimate:
    """What is known of the speed of one answer, nothing yet; and the limits that follow from it."""
    objectives = settings.objectives
    return SpeedEstimate(
        LengthLimits(
            base_s=objectives.speed_base_s,
            margin=objectives.speed_margin,
            per_token_s=objectives.speed_per_token_s,
        )
    )


def user_key_of(path: Path, deferred: DeferredWrites) -> bytes:
    """The key that user hashes are made with: created once, readable by its owner only.

    On a full or read-only disk a new key counts at once and is written later. Raises OSError, UnusableFile among them.
    """
    with contextlib.suppress(FileNotFoundError):
        return _user_key(path)
    key = secrets.token_bytes(_KEY_BYTES)
    deferred.write(str(path), lambda: create(path, key))
    try:
        return _user_key(path)  # another serve that starts at the same time may have been first
    except FileNotFoundError:
        return key


def _user_key(path: Path) -> bytes:
    key = read_private(path, most_bytes=_MOST_KEY_BYTES, secret=True)
    if not key:
        raise UnusableFile(f"{path} is empty: restore it, or delete it and users get new hashes.")
    return key


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """What must be there before the event loop runs."""

    sampler: Sampler
    door: Door
    sock: socket.socket
    instance_id: str
    url: str
    user_key: bytes
    run_file: RunFile
    previous_exit: PreviousExit
    deferred: DeferredWrites


def prepare(settings: Settings) -> Start:
    """Bind the port and open the files of the state directory, which a full or read-only disk does not stop.

    Raises OSError, SamplerUnavailable or BadKeys.
    """
    require_safe(settings.state.directory)
    deferred = DeferredWrites()
    sampler = build_sampler(settings.gpu.kind, settings.gpu.scene)
    user_key = user_key_of(settings.state.user_key, deferred)
    door = door_of(settings)
    sock = bind(settings.serve.host, settings.serve.port)
    try:
        port = int(sock.getsockname()[1])
        url = settings.serve.model_copy(update={"port": port}).url
        instance_id = new_id()[:12]
        run_file = RunFile(settings.state.run, port, deferred)
        previous_exit = run_file.begin(instance_id=instance_id, url=url)
    except OSError:
        sock.close()
        raise
    return Start(
        sampler=sampler,
        door=door,
        sock=sock,
        instance_id=instance_id,
        url=url,
        user_key=user_key,
        run_file=run_file,
        previous_exit=previous_exit,
        deferred=deferred,
    )


def defaults_of(settings: Settings) -> RequestDefaults:
    """What applies where a request does not say, as far as the settings know it: the engine adds the sampling."""
    return RequestDefaults(max_tokens=settings.admission.default_max_tokens, stop_loops=settings.engine.stop_loops)
