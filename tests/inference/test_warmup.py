"""The measurement at the start: right, bounded, over when a request comes, and no traffic."""

from __future__ import annotations

import asyncio
import time

import pytest

from llmops.engine.dials import EchoDials
from llmops.engine.echo import EchoEngine
from llmops.events import BenchmarkEvent, Event
from llmops.events.speed import StreamSpeed
from llmops.inference.speed import LengthLimits, SpeedEstimate
from llmops.inference.speed_record import SpeedRecord
from llmops.inference.warmup import measure_speed


async def engine_of(**dials: float) -> EchoEngine:
    engine = EchoEngine(EchoDials(**{"tokens_per_s": 100.0, "ttft_s": 0.2, **dials}))  # type: ignore[arg-type]
    await engine.start()
    return engine


async def test_the_speed_of_one_stream_and_of_reading_is_measured() -> None:
    speed = await measure_speed(await engine_of(), lambda: False)
    assert speed.output_tokens_per_s == pytest.approx(100.0, rel=0.5)
    assert speed.input_tokens_per_s == pytest.approx(64 / 0.2, rel=0.5)


async def test_a_request_ends_it_at_once() -> None:
    engine, started = await engine_of(ttft_s=30.0), time.monotonic()
    assert await measure_speed(engine, lambda: time.monotonic() - started > 0.1) == StreamSpeed()
    assert time.monotonic() - started < 5.0
    assert engine.stats().running == 0


async def test_what_was_measured_before_a_request_came_is_kept() -> None:
    engine, started = await engine_of(ttft_s=0.0, tokens_per_s=50.0), time.monotonic()
    speed = await measure_speed(engine, lambda: time.monotonic() - started > 0.2)
    assert speed.output_tokens_per_s == pytest.approx(50.0, rel=0.5)


async def test_a_slow_engine_is_not_waited_for() -> None:
    started = time.monotonic()
    assert await measure_speed(await engine_of(ttft_s=60.0), lambda: False, limit_s=0.2) == StreamSpeed()
    assert time.monotonic() - started < 10.0


async def test_an_engine_that_fails_leaves_the_speed_unknown() -> None:
    engine = await engine_of()
    await engine.stop()
    assert await measure_speed(engine, lambda: False) == StreamSpeed()


async def test_a_start_that_is_given_up_ends_the_measurement() -> None:
    task = asyncio.create_task(measure_speed(await engine_of(ttft_s=60.0), lambda: False, limit_s=60.0))
    await asyncio.sleep(0.05)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_the_record_says_unknown_at_the_start_and_what_requests_have_shown_later() -> None:
    events: list[Event] = []
    estimate, clock = SpeedEstimate(LengthLimits()), [0.0]
    record = SpeedRecord(
        estimate,
        events.append,
        default_max_tokens=512,
        deadline_s=300.0,
        latency_threshold_s=3.0,
        clock=lambda: clock[0],
        now=lambda: 1000.0,
    )
    assert await record.begin(await engine_of(), lambda: False) == "the speed of one answer is not known yet"
    record.follow()
    estimate.learn(read_tokens=0, prefill_s=0.0, output_tokens=101, decode_s=10.0)
    record.follow()
    estimate.learn(read_tokens=0, prefill_s=0.0, output_tokens=101, decode_s=2.0)
    record.follow()
    clock[0] += 60.0
    record.follow()
    record.follow()
    told = [
        (event.suite, event.trigger, event.output_tokens_per_s, event.default_max_tokens)
        for event in events
        if isinstance(event, BenchmarkEvent)
    ]
    assert told == [
        ("speed", "start", None, 512),
        ("speed", "requests", 10.0, 512),
        ("speed", "requests", 30.0, 512),
    ]


async def test_a_start_says_how_long_an_answer_may_be_to_meet_the_fixed_objective() -> None:
    estimate = SpeedEstimate()
    estimate.measured(StreamSpeed(9.6))
    record = SpeedRecord(estimate, lambda _: None, default_max_tokens=512, deadline_s=300.0, latency_threshold_s=3.0)
    told = await record.begin(await engine_of(), lambda: False)
    assert told.endswith("; answers of up to 28 tokens meet objectives.latency_threshold_s = 3")


@pytest.mark.parametrize(("deadline_s", "warns"), [(60.0, False), (51.0, True)])
async def test_a_deadline_that_cuts_the_usual_answer_is_named_with_what_to_set(
    deadline_s: float, warns: bool, caplog: pytest.LogCaptureFixture
) -> None:
    estimate = SpeedEstimate()
    estimate.measured(StreamSpeed(10.0))
    events: list[Event] = []
    record = SpeedRecord(
        estimate, events.append, default_max_tokens=512, deadline_s=deadline_s, latency_threshold_s=3.0
    )
    await record.begin(await engine_of(), lambda: False)
    assert ("set deadline_s = 77 or default_max_tokens = 340 under [admission]" in caplog.text) is warns
