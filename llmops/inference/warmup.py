"""Measures at the start how fast one request is read and written: bounded, beside no request, and no traffic itself."""

from __future__ import annotations

import asyncio
import logging
import statistics
import time
import uuid
from collections.abc import Callable
from contextlib import aclosing

from llmops.engine.contract import Engine, Generation, Sampling
from llmops.engine.errors import EngineError
from llmops.events import BenchmarkEvent
from llmops.events.speed import SUITE, StreamSpeed

LIMIT_S = 3.0
_WRITE_S, _WRITE_TOKENS, _FEWEST_GAPS = 1.2, 32, 3
_READ_TOKENS, _READ_LONG_ENOUGH_S = 64, 0.15
"""A prompt that is read quicker than this is tried four times as long: a short one tells of the work around it."""
_LOOK_S = 0.02
_NUMBERS = 8000
_log = logging.getLogger(__name__)


class _Findings:
    """What was measured so far: a measurement that is cut short keeps it."""

    def __init__(self) -> None:
        self.gaps: list[float] = []
        self.input_tokens_per_s: float | None = None

    def speed(self) -> StreamSpeed:
        """The median gap: the first steps of a process are slower than those that follow."""
        gap_s = statistics.median(self.gaps) if len(self.gaps) >= _FEWEST_GAPS else 0.0
        return StreamSpeed(1.0 / gap_s if gap_s > 0 else None, self.input_tokens_per_s)


async def measure_speed(engine: Engine, is_busy: Callable[[], bool], *, limit_s: float = LIMIT_S) -> StreamSpeed:
    """At most `limit_s` seconds; ends at once when `is_busy` says that a request has come. What could not be measured
    is None."""
    found = _Findings()
    task = asyncio.create_task(_measure(engine, found))
    deadline = time.monotonic() + limit_s
    while not task.done() and time.monotonic() < deadline and not is_busy():
        await asyncio.wait({task}, timeout=_LOOK_S)
    task.cancel()
    try:
        await task
    except asyncio.CancelledError:
        current = asyncio.current_task()
        if current is not None and current.cancelling():
            raise
    except EngineError as error:
        _log.info("the speed of one answer could not be measured: %s", error)
    return found.speed()


async def _measure(engine: Engine, found: _Findings) -> None:
    """A prompt of numbers: a model goes on counting, and no part of it is in a cache."""
    ids = engine.encode(" ".join(map(str, range(1, _NUMBERS))))
    room = engine.card.max_model_len
    started = time.monotonic()
    await _generate(engine, ids[: min(16, room // 2)], min(_WRITE_TOKENS, room // 2), found.gaps, within_s=_WRITE_S)
    at, length = 16, _READ_TOKENS
    while length <= room // 2 and at + length <= len(ids):
        took_s = await _generate(engine, ids[at : at + length], 1, [])
        if took_s is None:
            return
        found.input_tokens_per_s = length / took_s
        if took_s >= _READ_LONG_ENOUGH_S or time.monotonic() - started > LIMIT_S / 2:
            return
        at, length = at + length, 4 * length


async def _generate(
    engine: Engine, ids: list[int], max_tokens: int, gaps: list[float], within_s: float | None = None
) -> float | None:
    """Seconds to the first token, and the gaps between all of them."""
    generation = Generation(
        id=f"warm-up-{uuid.uuid4().hex}",
        prompt="",
        prompt_ids=ids,
        max_tokens=max_tokens,
        sampling=Sampling(temperature=0.0),
    )
    started = last = time.monotonic()
    first_s: float | None = None
    async with aclosing(engine.generate(generation)) as pieces:  # type: ignore[type-var]
        async for piece in pieces:
            for at in piece.times or (piece.at,) * piece.tokens:
                if first_s is None:
                    first_s = at - started
                else:
                    gaps.append(at - last)
                last = at
            if within_s is not None and time.monotonic() - started > within_s:
                break
    return first_s


def speed_event(
    speed: StreamSpeed,
    *,
    at: float,
    trigger: str,
    default_max_tokens: int,
    model: str | None = None,
    model_version: str | None = None,
) -> BenchmarkEvent:
    """The record's line of it. `trigger`: `start`, or `requests` when answers have shown another speed."""
    gap_s = None if speed.output_tokens_per_s is None else 1.0 / speed.output_tokens_per_s
    return BenchmarkEvent(
        at=at,
        benchmark_id=uuid.uuid4().hex,
        suite=SUITE,
        name="one-answer",
        trigger=trigger,
        completed=int(gap_s is not None),
        output_tokens_per_s=speed.output_tokens_per_s,
        input_tokens_per_s=speed.input_tokens_per_s,
        tpot_p50_s=gap_s,
        default_max_tokens=default_max_tokens,
        request_model=model,
        model_version=model_version,
    )
