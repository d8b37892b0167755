from __future__ import annotations

import time

import pytest

from llmops.admission.bucket import Buckets
from llmops.admission.gate import Gate
from llmops.engine.echo import EchoEngine
from llmops.inference.exchange import Arrival, Ask
from llmops.inference.meter import TokenMeter
from llmops.inference.route import Inference


@pytest.mark.parametrize(
    ("dial", "asked", "stops"),
    [(False, None, False), (True, None, True), (False, True, True), (True, False, False)],
)
async def test_a_request_overrules_the_dial(*, dial: bool, asked: bool | None, stops: bool) -> None:
    engine = EchoEngine()
    await engine.start()
    gate = Gate(max_running=1, queue_size=1, buckets=Buckets(rate_per_s=1, burst=9), clock=time.monotonic)
    inference = Inference(
        engine, gate, lambda _: None, meter=TokenMeter(), user_key=b"k", stop_loops=dial, new_id=lambda: "1"
    )
    exchange = inference.arrive(Arrival(at=0.0, clock_s=time.monotonic(), request_id="r", path="/", user="u"))
    with inference.admit(exchange, Ask(prompt="again and again", stop_loops=asked)) as admitted:
        assert (await inference.prepare(admitted)).stop_loops is stops
