"""Models that can't be batched: chosen by themselves, exact, and as hard to kill as the batch loop."""

from __future__ import annotations

import asyncio
import itertools
import threading
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
import torch

from llmops.engine.contract import Sampling
from llmops.engine.dials import EngineDials
from llmops.engine.errors import EngineError, EngineStopped, ModelNotLoaded, OutOfMemory
from llmops.engine.transformers_engine import TransformersEngine
from tests.engine.answers import ask, pieces_of, text_of, until

PROMPT = "Tell me about models that keep a state instead of a cache"


@pytest_asyncio.fixture
async def engine(tiny_folder: Path) -> AsyncIterator[TransformersEngine]:
    engine = TransformersEngine(str(tiny_folder), EngineDials(stall_s=0.2), one_by_one=True)
    await engine.start()
    yield engine
    await engine.stop()


def _decoding() -> set[threading.Thread]:
    return {thread for thread in threading.enumerate() if thread.name == "sequential-decode"}


def _before_each_step(engine: TransformersEngine, act: Callable[[], None]) -> Any:
    return engine._here()[0].model.register_forward_pre_hook(lambda *_: act())


def _fail(engine: TransformersEngine, error: Exception, times: int) -> None:
    left = [times]

    def act() -> None:
        if left[0]:
            left[0] -= 1
            raise error

    _before_each_step(engine, act)


async def test_answers_are_those_of_the_batching_engine_for_the_same_seed(
    engine: TransformersEngine, tiny_folder: Path
) -> None:
    batching = TransformersEngine(str(tiny_folder))
    await batching.start()
    assert batching.card.engine == "transformers"
    samplings = [
        Sampling(temperature=0.0),
        Sampling(temperature=1.0, seed=3),
        Sampling(temperature=0.7, top_k=5, seed=4),
    ]
    samplings += [Sampling(temperature=1.5, top_p=0.8, seed=n) for n in range(4)]
    for sampling in samplings:
        asked = ask(batching, PROMPT, max_tokens=40, sampling=sampling, stop=("zz",))
        there, here = await pieces_of(batching, asked), await pieces_of(engine, asked)
        assert "".join(piece.text for piece in here) == "".join(piece.text for piece in there)
        assert here[-1].finish_reason == there[-1].finish_reason
        assert sum(piece.tokens for piece in here) == sum(piece.tokens for piece in there)
    await batching.stop()


async def test_each_token_is_a_piece_of_its_own_with_its_own_time(engine: TransformersEngine) -> None:
    _before_each_step(engine, lambda: time.sleep(0.02))
    pieces = await pieces_of(engine, ask(engine, PROMPT, max_tokens=6))
    assert [piece.tokens for piece in pieces] == [1] * 6
    assert all(later.at - earlier.at > 0.015 for earlier, later in itertools.pairwise(pieces))
    assert (pieces[0].batch_size, pieces[0].cached_tokens) == (1, 0)


async def test_a_cancelled_generation_ends_with_the_token_under_way(engine: TransformersEngine) -> None:
    steps: list[None] = []
    _before_each_step(engine, lambda: steps.append(None))
    whole = await pieces_of(engine, ask(engine, PROMPT, max_tokens=400))
    assert sum(piece.tokens for piece in whole) > 20
    _before_each_step(engine, lambda: time.sleep(0.02))
    stream = engine.generate(ask(engine, PROMPT, max_tokens=400))
    await anext(stream)
    await stream.aclose()  # type: ignore[attr-defined]
    seen = len(steps)
    await text_of(engine, ask(engine, PROMPT, max_tokens=1))  # its turn comes when the other has ended
    assert len(steps) <= seen + 2


async def test_who_came_first_goes_first(engine: TransformersEngine) -> None:
    ended: list[int] = []

    async def one(number: int) -> None:
        await text_of(engine, ask(engine, f"{PROMPT} {number}", max_tokens=4))
        ended.append(number)

    tasks = []
    for number in range(6):
        tasks.append(asyncio.create_task(one(number)))
        await until(lambda number=number: engine.stats().running + len(ended) > number)  # type: ignore[misc]
    await asyncio.gather(*tasks)
    assert ended == sorted(ended)


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (RuntimeError("a kernel failed"), EngineError),
        (torch.OutOfMemoryError("CUDA out of memory."), OutOfMemory),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes"), OutOfMemory),
    ],
)
async def test_a_failed_generation_fails_alone_and_the_ones_that_wait_are_answered(
    engine: TransformersEngine, error: Exception, expected: type[Exception]
) -> None:
    right = await text_of(engine, ask(engine, PROMPT))
    _fail(engine, error, times=1)
    asked = [ask(engine, PROMPT) for _ in range(3)]
    outcomes = await asyncio.gather(*[text_of(engine, one) for one in asked], return_exceptions=True)
    assert type(outcomes[0]) is expected
    assert outcomes[1:] == [right, right]
    assert engine.health().state == "ready"
    assert engine.stats().running == 0


async def test_numbers_that_are_none_are_an_error_and_no_answer(engine: TransformersEngine) -> None:
    def broken(_: object, __: object, output: Any) -> Any:
        output.logits[:] = float("nan")
        return output

    hook = engine._here()[0].model.register_forward_hook(broken)
    with pytest.raises(EngineError, match="NaN"):
        await text_of(engine, ask(engine, PROMPT))
    hook.remove()


async def test_a_model_that_always_fails_ends_in_a_dead_engine_that_says_why(engine: TransformersEngine) -> None:
    _fail(engine, RuntimeError("CUDA error: the device is lost"), times=10**6)
    asked = [ask(engine, PROMPT) for _ in range(3)]
    outcomes = await asyncio.gather(*[text_of(engine, one) for one in asked], return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [EngineError, EngineStopped, EngineStopped]
    assert engine.health().state == "dead"
    assert "can't answer any more (RuntimeError)" in engine.health().reason
    with pytest.raises(EngineStopped):
        await text_of(engine, asked[0])


async def test_a_token_that_takes_too_long_degrades_the_engine_until_the_next(engine: TransformersEngine) -> None:
    stream = engine.generate(ask(engine, PROMPT))
    await anext(stream)
    hook = _before_each_step(engine, lambda: time.sleep(0.6))
    await until(lambda: engine.health().state == "degraded")
    assert "No token for" in engine.health().reason
    hook.remove()
    await until(lambda: engine.health().state == "ready")
    await stream.aclose()  # type: ignore[attr-defined]


async def test_stopping_ends_the_thread_even_under_a_long_answer(engine: TransformersEngine) -> None:
    steps: list[None] = []
    _before_each_step(engine, lambda: [time.sleep(0.02), steps.append(None)][0])  # type: ignore[func-returns-value]
    running = asyncio.create_task(pieces_of(engine, ask(engine, PROMPT, max_tokens=400)))
    await until(lambda: engine.stats().running == 1)
    await until(lambda: len(steps) > 0)
    seen = len(steps)
    await engine.stop()
    assert len(steps) <= seen + 2
    with pytest.raises(EngineStopped):
        await running
    assert not _decoding()


async def test_a_model_that_cannot_answer_one_token_is_not_loaded(
    tiny_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("no kernel for this")

    others = _decoding()
    monkeypatch.setattr("llmops.engine.sequential.generate", broken)
    with pytest.raises(ModelNotLoaded, match=r"can't be served \(RuntimeError: no kernel for this\)"):
        await TransformersEngine(str(tiny_folder), one_by_one=True).start()
    assert _decoding() <= others


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # the compiler's own
async def test_compiled_steps_give_the_same_answers_whatever_came_before(
    engine: TransformersEngine, tiny_folder: Path
) -> None:
    dials = EngineDials(compile=True, max_model_len=128)
    compiled = TransformersEngine(str(tiny_folder), dials, one_by_one=True)
    await compiled.start()
    try:
        for prompt in (PROMPT, "Short", PROMPT):
            expected = await text_of(engine, ask(engine, prompt, max_tokens=12))
            assert await text_of(compiled, ask(compiled, prompt, max_tokens=12)) == expected
    finally:
        await compiled.stop()


async def test_compiled_steps_are_refused_where_generations_share_a_batch(tiny_folder: Path) -> None:
    engine = TransformersEngine(str(tiny_folder), EngineDials(compile=True))
    with pytest.raises(ModelNotLoaded, match="is for single streams"):
        await engine.start()


async def test_a_long_prompt_that_is_read_as_slowly_as_the_one_before_is_no_stall(tiny_folder: Path) -> None:
    engine = TransformersEngine(str(tiny_folder), EngineDials(stall_s=0.2), one_by_one=True)
    await engine.start()

    def read_slowly(_: Any, __: Any, arguments: dict[str, Any]) -> None:
        read = arguments["input_ids"].shape[-1]
        time.sleep(0.01 * read if read > 1 else 0.0)

    engine._here()[0].model.register_forward_pre_hook(read_slowly, with_kwargs=True)
    short = ask(engine, " ".join([PROMPT] * 2), max_tokens=1)
    long = ask(engine, " ".join([PROMPT] * 8), max_tokens=1)
    await pieces_of(engine, short)
    states: set[str] = set()
    reading = asyncio.ensure_future(pieces_of(engine, long))
    while not reading.done():
        states.add(engine.health().state)
        await asyncio.sleep(0.02)
    assert states == {"ready"}
    await engine.stop()
