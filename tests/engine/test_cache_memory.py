from __future__ import annotations

import mmap
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from llmops.engine.cache_memory import available_bytes
from llmops.engine.contract import Generation
from llmops.engine.dials import EngineDials
from llmops.engine.live_loop import LiveLoop
from llmops.engine.transformers_engine import TransformersEngine
from tests.engine.answers import GREEDY, ask, text_of, until

LARGE = 256 << 20
PROMPT = "Tell me about continuous batching and what it shares between those who wait"


class Clock:
    """Monotonic, and ahead by what a test says."""

    def __init__(self) -> None:
        self.ahead_s = 0.0

    def __call__(self) -> float:
        return time.monotonic() + self.ahead_s


def resident_bytes(engine: TransformersEngine) -> int:
    """Of the cache alone, as the operating system counts its pages."""
    tensor = cache_of(engine).cache_tensor
    page = mmap.PAGESIZE
    with Path("/proc/self/pagemap").open("rb") as pages:
        pages.seek(tensor.data_ptr() // page * 8)
        entries = pages.read(tensor.numel() // page * 8)
    return page * sum(byte >> 7 for byte in entries[7::8])


def cache_of(engine: TransformersEngine):  # type: ignore[no-untyped-def]
    live = engine._live
    assert isinstance(live, LiveLoop)
    assert live._batch is not None
    return live._batch._manager.batch_processor.cache


@pytest_asyncio.fixture
async def clock() -> Clock:
    return Clock()


@pytest_asyncio.fixture
async def engine(tiny_folder: Path, clock: Clock) -> AsyncIterator[TransformersEngine]:
    dials = EngineDials(kv_cache_bytes=LARGE, max_running=64, device="cpu")
    engine = TransformersEngine(str(tiny_folder), dials, clock=clock)
    await engine.start()
    yield engine
    await engine.stop()


def long_prompt(engine: TransformersEngine, number: int) -> Generation:
    ids = [(number * 7 + each) % 200 for each in range(engine.card.max_model_len - 8)]
    return Generation(id=f"g{number}", prompt="", prompt_ids=ids, max_tokens=2, sampling=GREEDY)


async def test_the_cache_takes_memory_as_it_is_written_and_gives_it_back_when_idle(
    engine: TransformersEngine, clock: Clock
) -> None:
    cache = cache_of(engine)
    size = cache.cache_tensor.numel()
    assert size > 16 << 20
    at_start = resident_bytes(engine)
    assert at_start < size // 16
    first = await text_of(engine, ask(engine, PROMPT))
    for number in range(20):
        await text_of(engine, long_prompt(engine, number))
    used = resident_bytes(engine)
    assert used > at_start + (2 << 20)
    clock.ahead_s += 61.0
    await until(lambda: resident_bytes(engine) < used)
    kept = sum(len(allocator.ledger.cached_blocks) for allocator in cache.cache_allocators.values())
    assert kept * 32 <= 4096
    assert await text_of(engine, ask(engine, PROMPT)) == first


async def test_the_newest_prompts_are_kept_for_those_that_begin_alike(engine: TransformersEngine, clock: Clock) -> None:
    for number in range(12):
        await text_of(engine, long_prompt(engine, number))
    live = engine._live
    assert isinstance(live, LiveLoop)
    assert live._batch is not None
    before = live._batch.given_back_at
    clock.ahead_s += 61.0
    await until(lambda: live._batch is not None and live._batch.given_back_at > before + 30)
    steps = live.cached_tokens
    await text_of(engine, long_prompt(engine, 11))
    assert live.cached_tokens > steps


@pytest.mark.parametrize(
    ("limit", "used", "less"), [("max", "5", False), (str(mmap.PAGESIZE), "100", True), ("10", "50", True)]
)
def test_a_container_s_limit_counts_where_it_is_less(tmp_path: Path, limit: str, used: str, less: bool) -> None:
    (tmp_path / "memory.max").write_text(limit)
    (tmp_path / "memory.current").write_text(used)
    assert (available_bytes(tmp_path) < 1 << 20) == less
    assert available_bytes(tmp_path / "nowhere") > 1 << 20
