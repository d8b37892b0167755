"""One run of the self-benchmark: a few fixed questions through the HTTP API, and what they took."""

from __future__ import annotations

import asyncio
import dataclasses
import statistics
import threading
import time
import uuid
from collections.abc import Sequence
from contextlib import aclosing
from typing import Any
from urllib.parse import urlsplit

from llmops.client import ChatTiming, RequestRefused, ServeClient, ServeUnreachable, time_chat
from llmops.events import BenchmarkEvent
from llmops.events.snapshot import ServeSnapshot

GOOD_WITHIN_S = 3.0
"""An answer within this is goodput: the default latency objective."""
_SEED = 20260101
_PROMPTS = (
    "What is P99?",
    "How much VRAM does a 7B model need in FP16?",
    "什么是错误预算？",
    "What does 4-bit quantisation change?",
    "输出总是重复，怎么办？",
    "What should I do at CUDA out of memory?",
    "Which keys does the screen have?",
    "什么是 burn rate？",
)


class GaveWay(Exception):
    """A run ended early, for users or for the end of its program: what it measured so far says nothing."""

    slug = "gave_way"


async def run_benchmark(
    url: str,
    *,
    requests: int,
    concurrency: int,
    max_tokens: int,
    trigger: str,
    stop: threading.Event | None = None,
    api_key: str | None = None,
) -> BenchmarkEvent:
    """Measure the serve at `url`. Requests that fail are counted, not raised; ServeUnreachable when nobody answers.

    With `stop` the run looks around before each request, and raises GaveWay once that is set or users wait.
    """
    at = time.time()
    async with ServeClient(url, api_key=api_key, synthetic=True, user="llmops-bench") as serve:
        snapshot = await serve.snapshot()
        started = time.monotonic()
        asking = _Asking(serve, concurrency, max_tokens, stop)
        timings = await asyncio.gather(*(asking.ask(number) for number in range(requests)))
        duration_s = time.monotonic() - started
    if asking.gave_way:
        raise GaveWay
    done = [timing for timing in timings if timing is not None]
    measured = _event(snapshot, done, requests - len(done), at=at, duration_s=duration_s)
    return dataclasses.replace(
        measured, trigger=trigger, concurrency=concurrency, max_tokens=max_tokens, url=without_secrets(url)
    )


class _Asking:
    """So many requests at once; after it gave way, none is begun."""

    def __init__(self, serve: ServeClient, concurrency: int, max_tokens: int, stop: threading.Event | None) -> None:
        self.gave_way = False
        self._serve = serve
        self._concurrency = concurrency
        self._max_tokens = max_tokens
        self._stop = stop
        self._places = asyncio.Semaphore(concurrency)
        self._under_way = 0

    async def ask(self, number: int) -> ChatTiming | None:
        async with self._places:
            if self._stop is not None and not self.gave_way:
                self.gave_way = self._stop.is_set() or await self._users_wait()
            if self.gave_way:
                return None
            self._under_way += 1
            try:
                return await self._time(_PROMPTS[number % len(_PROMPTS)])
            finally:
                self._under_way -= 1

    async def _users_wait(self) -> bool:
        """Somebody waits, and it is none of our own requests."""
        before = self._under_way
        try:
            seen = await self._serve.snapshot()
        except (RequestRefused, ServeUnreachable):
            return True
        ours = max(before, self._under_way)
        ours_waiting = max(0, self._concurrency - seen.running_capacity)
        return seen.waiting > ours_waiting and seen.waiting + seen.running > ours

    async def _time(self, prompt: str) -> ChatTiming | None:
        started = time.monotonic()
        asked = [{"role": "user", "content": prompt}]
        chunks = self._serve.chat(asked, max_tokens=self._max_tokens, temperature=0.0, seed=_SEED)
        try:
            async with aclosing(chunks):
                return await time_chat(chunks, started)
        except (RequestRefused, ServeUnreachable):
            return None


def without_secrets(url: str) -> str:
    """Where serve is, without a name and password that somebody put into the address."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path.rstrip('/')}"


def _event(
    snapshot: ServeSnapshot,
    done: Sequence[ChatTiming],
    failed: int,
    *,
    at: float,
    duration_s: float,
) -> BenchmarkEvent:
    written = sum(timing.tokens for timing in done)
    read = sum(timing.input_tokens or 0 for timing in done)
    measured = {
        "ttft": [timing.ttft_s for timing in done if timing.ttft_s is not None],
        "tpot": [timing.tpot_s for timing in done if timing.tpot_s is not None],
        "itl": [gap for timing in done for gap in timing.itl_s],
        "e2e": [timing.e2e_s for timing in done],
    }
    spread: dict[str, Any] = {
        f"{name}_{what}_s": value for name, values in measured.items() for what, value in _spread(values).items()
    }
    environment = snapshot.environment
    return BenchmarkEvent(
        at=at + duration_s,
        benchmark_id=uuid.uuid4().hex,
        completed=len(done),
        failed=failed,
        duration_s=duration_s,
        requests_per_s=len(done) / duration_s,
        output_tokens_per_s=written / duration_s,
        total_tokens_per_s=(read + written) / duration_s,
        goodput_per_s=sum(timing.e2e_s <= GOOD_WITHIN_S for timing in done) / duration_s,
        request_model=snapshot.model.id,
        model_version=snapshot.model.version,
        quantization=snapshot.model.quantization,
        dtype=snapshot.model.dtype,
        engine=snapshot.model.engine or None,
        device_name=_device_of(snapshot),
        torch_version=environment.get("torch"),
        transformers_version=environment.get("transformers"),
        bitsandbytes_version=environment.get("bitsandbytes"),
        cuda_version=environment.get("cuda"),
        driver_version=environment.get("driver"),
        **spread,
    )


def _device_of(snapshot: ServeSnapshot) -> str | None:
    """What computes there; None where it is not sampled yet, or another server computes."""
    kind = "gpu" if "cuda" in snapshot.environment else "cpu"
    names = sorted({device.name for device in snapshot.devices if device.type == kind})
    return None if snapshot.model.engine == "upstream" else " + ".join(names) or None


def _spread(values: Sequence[float]) -> dict[str, float]:
    """Mean and exact percentiles by nearest rank, without interpolation; empty without values."""
    if not values:
        return {}
    ordered = sorted(values)
    at = {f"p{share}": ordered[-(-share * len(ordered) // 100) - 1] for share in (50, 95, 99)}
    return {"mean": statistics.fmean(ordered), **at}
