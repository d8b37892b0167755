"""One run of the self-benchmark: a few fixed questions through the HTTP API, and what they took."""

from __future__ import annotations

import asyncio
import statistics
import time
import uuid
from collections.abc import Sequence
from contextlib import aclosing
from typing import Any

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


async def run_benchmark(url: str, *, requests: int, concurrency: int, max_tokens: int, trigger: str) -> BenchmarkEvent:
    """Measure the serve at `url`. Requests that fail are counted, not raised; ServeUnreachable when nobody answers."""
    at = time.time()
    async with ServeClient(url, synthetic=True, user="llmops-bench") as serve:
        snapshot = await serve.snapshot()
        started = time.monotonic()
        places = asyncio.Semaphore(concurrency)

        async def ask(number: int) -> ChatTiming | None:
            async with places:
                return await _ask(serve, _PROMPTS[number % len(_PROMPTS)], max_tokens)

        timings = await asyncio.gather(*(ask(number) for number in range(requests)))
        duration_s = time.monotonic() - started
    done = [timing for timing in timings if timing is not None]
    return _event(
        snapshot, done, requests - len(done), at=at, duration_s=duration_s, concurrency=concurrency, trigger=trigger
    )


async def _ask(serve: ServeClient, prompt: str, max_tokens: int) -> ChatTiming | None:
    started = time.monotonic()
    chunks = serve.chat([{"role": "user", "content": prompt}], max_tokens=max_tokens, temperature=0.0, seed=_SEED)
    try:
        async with aclosing(chunks):
            return await time_chat(chunks, started)
    except (RequestRefused, ServeUnreachable):
        return None


def _event(
    snapshot: ServeSnapshot,
    done: Sequence[ChatTiming],
    failed: int,
    *,
    at: float,
    duration_s: float,
    concurrency: int,
    trigger: str,
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
        trigger=trigger,
        concurrency=concurrency,
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
        torch_version=environment.get("torch"),
        transformers_version=environment.get("transformers"),
        bitsandbytes_version=environment.get("bitsandbytes"),
        cuda_version=environment.get("cuda"),
        driver_version=environment.get("driver"),
        **spread,
    )


def _spread(values: Sequence[float]) -> dict[str, float]:
    """Mean and exact percentiles by nearest rank, without interpolation; empty without values."""
    if not values:
        return {}
    ordered = sorted(values)
    at = {f"p{share}": ordered[-(-share * len(ordered) // 100) - 1] for share in (50, 95, 99)}
    return {"mean": statistics.fmean(ordered), **at}
