from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
import torch

from llmops.engine.batching import BatchLoop
from llmops.engine.dials import EngineDials
from llmops.engine.errors import EngineStopped, ModelNotLoaded
from llmops.engine.restarts import LIMIT
from llmops.engine.transformers_engine import TransformersEngine
from tests.engine.answers import ask, pieces_of, text_of, until

PROMPT = "What is left when the device is lost"
LOST = "CUDA error: an illegal memory access was encountered"


@pytest_asyncio.fixture
async def engine(tiny_folder: Path) -> AsyncIterator[TransformersEngine]:
    engine = TransformersEngine(str(tiny_folder))
    await engine.start()
    yield engine
    await engine.stop()


def _raise(*_: object) -> Any:
    raise RuntimeError(LOST)


def _lay_no_loop(monkeypatch: pytest.MonkeyPatch, times: int) -> None:
    """The next `times` batch loops cannot be built."""
    built: list[None] = []

    def build(*args: Any) -> BatchLoop:
        built.append(None)
        return _raise() if len(built) <= times else BatchLoop(*args)

    monkeypatch.setattr("llmops.engine.live_loop.BatchLoop", build)


async def _kill(engine: TransformersEngine) -> None:
    """The loop under a running generation dies."""
    running = asyncio.create_task(pieces_of(engine, ask(engine, PROMPT, max_tokens=300)))
    await until(lambda: engine.stats().running == 1)
    hook = engine._here()[0].model.register_forward_pre_hook(_raise)
    with pytest.raises(EngineStopped):
        await running
    hook.remove()


def _no_loop_runs() -> bool:
    return not any("_run_generation_loop" in thread.name for thread in threading.enumerate())


async def test_a_loop_that_cannot_be_built_ends_in_a_dead_engine_and_frees_those_who_wait(
    engine: TransformersEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = ask(engine, PROMPT)
    _lay_no_loop(monkeypatch, times=1000)
    await _kill(engine)
    waiting = [asyncio.create_task(pieces_of(engine, asked)) for _ in range(3)]
    outcomes = await asyncio.wait_for(asyncio.gather(*waiting, return_exceptions=True), 30)
    assert [type(outcome) for outcome in outcomes] == [EngineStopped] * 3
    assert engine.health().state == "dead"
    assert f"more than {LIMIT} times" in engine.health().reason
    assert _no_loop_runs()


async def test_a_loop_that_can_be_built_at_the_second_try_answers_again(
    engine: TransformersEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    right = await text_of(engine, ask(engine, PROMPT))
    _lay_no_loop(monkeypatch, times=1)
    await _kill(engine)
    assert await text_of(engine, ask(engine, PROMPT)) == right
    assert engine.health().state == "ready"


async def test_a_dead_loop_that_cannot_be_tidied_up_does_not_keep_the_next_one_from_starting(
    engine: TransformersEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    right = await text_of(engine, ask(engine, PROMPT))
    close = BatchLoop.close
    monkeypatch.setattr(BatchLoop, "close", lambda loop: [close(loop), _raise()])
    await _kill(engine)
    assert await text_of(engine, ask(engine, PROMPT)) == right


async def test_an_engine_that_cannot_be_watched_is_dead_and_frees_what_runs(
    engine: TransformersEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    running = asyncio.create_task(pieces_of(engine, ask(engine, PROMPT, max_tokens=400)))
    await until(lambda: engine.stats().running == 1)
    monkeypatch.setattr(BatchLoop, "sweep", _raise)
    engine._here()[1]._trouble.set()  # type: ignore[union-attr]
    with pytest.raises(EngineStopped):
        await asyncio.wait_for(running, 10)
    assert engine.health().state == "dead"
    assert engine.health().reason
    await until(_no_loop_runs)


@pytest.mark.parametrize(
    "broken", ["transformers_engine.plan_for", "transformers_engine.model_default", "live_loop.BatchLoop"]
)
async def test_a_first_start_that_fails_names_the_model_the_cause_and_what_to_do(
    tiny_folder: Path, monkeypatch: pytest.MonkeyPatch, broken: str
) -> None:
    monkeypatch.setattr(f"llmops.engine.{broken}", _raise)
    with pytest.raises(ModelNotLoaded, match=r"RuntimeError: CUDA error.*take another model") as caught:
        await TransformersEngine(str(tiny_folder)).start()
    assert str(tiny_folder) in str(caught.value)
    assert _no_loop_runs()


async def test_a_loop_that_dies_at_its_first_step_says_the_cause_at_the_start(
    tiny_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("transformers.ContinuousBatchingManager._create_batch_processor", _raise)
    with pytest.raises(ModelNotLoaded, match=r"RuntimeError: CUDA error.*take another model"):
        await TransformersEngine(str(tiny_folder)).start()
    assert _no_loop_runs()


async def test_memory_that_never_suffices_at_the_start_says_what_to_lower(
    tiny_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory.")

    monkeypatch.setattr(BatchLoop, "start", full)
    with pytest.raises(ModelNotLoaded, match=r"too little memory.*lower kv_cache_bytes"):
        await TransformersEngine(str(tiny_folder)).start()


async def test_a_cancelled_start_leaves_no_thread_behind(tiny_folder: Path) -> None:
    before = set(threading.enumerate())

    def left() -> list[str]:  # the event loop keeps its own pool of workers, however many it came to need
        return [
            thread.name for thread in threading.enumerate() if thread not in before and "asyncio" not in thread.name
        ]

    engine = TransformersEngine(str(tiny_folder), EngineDials(probe_timeout_s=30))
    starting = asyncio.create_task(engine.start())
    await until(lambda: any("_run_generation_loop" in name for name in left()), within_s=20)
    starting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await starting
    await until(lambda: not left())
