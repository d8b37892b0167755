"""A journal to measure with, and an Elasticsearch of its own for the length of a measurement."""

from __future__ import annotations

import contextlib
import random
import time
from pathlib import Path
from types import TracebackType

from llmops.elastic.setup import prepare
from llmops.events import Event, Origin, RequestEvent, SampleEvent
from llmops.sinks.line import line_of
from tests.elastic.server import ElasticProcess, ElasticServer, own_process


class Elastic:
    """The server of the tests, started here, with our templates; gone with the block."""

    def __init__(self) -> None:
        self._exit = contextlib.ExitStack()
        self.process: ElasticProcess = self._exit.enter_context(own_process())
        self.server = ElasticServer(f"http://127.0.0.1:{self.process.port}", "elastic", self.process.password)
        self.client = self.server.connect()

    def __enter__(self) -> Elastic:
        self.process.start()
        list(prepare(self.client, {}))
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.client.close()
        self._exit.close()

    @property
    def version(self) -> str:
        """As it says."""
        return str(self.client.info().body["version"]["number"])


def write_journal(folder: Path, count: int, *, namespace: str, seed: int) -> None:
    """One file of so many events: requests and samples of the hardware, turn by turn."""
    folder.mkdir(parents=True)
    rng, writer = random.Random(seed), origin(namespace)
    with (folder / "serve-20260101T000000-1.jsonl").open("wb") as file:
        for number in range(count):
            file.write(line_of(writer.document(event(number, time.time(), rng))))


def origin(namespace: str) -> Origin:
    """Who writes."""
    return Origin(
        service_name="serve",
        service_version="0",
        instance_id="a1b2c3d4e5f6",
        host_name="box",
        host_id="0" * 32,
        process_id=4711,
        namespace=namespace,
    )


def event(number: int, at: float, rng: random.Random) -> Event:
    """As wide as a real one."""
    if number % 2:
        return SampleEvent(
            at=at,
            device_id="GPU-0",
            device_name="card",
            utilization=rng.random(),
            memory_used_bytes=rng.randrange(1 << 34),
            memory_limit_bytes=1 << 34,
            power_w=300 * rng.random(),
            temperature_c=60.0,
            clock_sm_hz=1.7e9,
            cpu_utilization=rng.random(),
        )
    duration_s = rng.lognormvariate(-0.5, 0.7)
    return RequestEvent(
        at=at,
        request_id=f"req-{number:08d}-{rng.randrange(1 << 32):08x}",
        trace_id=f"{rng.randrange(1 << 62):032x}",
        user_hash=f"{rng.randrange(50):016x}",
        request_model="demo",
        response_model="demo",
        model_version="0123456789ab",
        input_tokens=rng.randrange(2000),
        output_tokens=rng.randrange(500),
        start=at - duration_s,
        end=at,
        duration_ns=int(duration_s * 1e9),
        duration_s=duration_s,
        ttft_s=duration_s / 5,
        tpot_s=0.02,
        queue_s=0.01,
        finish_reasons=("stop",),
    )
