from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
import torch

from llmops.engine.contract import Generation
from llmops.engine.dials import EngineDials
from llmops.engine.errors import EngineStopped, ModelNotLoaded, NanLogits, OutOfMemory
from llmops.engine.restarts import LIMIT
from llmops.engine.transformers_engine import TransformersEngine
from tests.engine.answers import ask, pieces_of, text_of, until
from tests.engine.torture.faults import (
    batch_of,
    fail_forward,
    hang,
    kill_thread,
    live_of,
    model_of,
    nothing_is_left,
    spoil_logits,
    spoil_token,
)

PROMPT = "Tell me what survives"
LONG = PROMPT + " and what does not" * 10
BROKEN = RuntimeError("a kernel failed")
pytestmark = pytest.mark.usefixtures("one_thread")
KILLS = pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
FULL = torch.OutOfMemoryError("CUDA out of memory.")


@pytest_asyncio.fixture
async def engine(tiny_folder: Path) -> AsyncIterator[TransformersEngine]:
    engine = TransformersEngine(str(tiny_folder), EngineDials(max_batch_tokens=64))
    await engine.start()
    yield engine
    await engine.stop()


async def _outcomes(engine: TransformersEngine, asked: list[Generation]) -> list[str | BaseException]:
    """Nobody may wait longer than this."""
    answers = [text_of(engine, one) for one in asked]
    return await asyncio.wait_for(asyncio.gather(*answers, return_exceptions=True), 30)


async def test_one_row_without_finite_logits_ends_with_its_error_and_the_others_never_know(
    engine: TransformersEngine,
) -> None:
    others = [ask(engine, f"{PROMPT} {number}", max_tokens=30) for number in range(5)]
    victim = ask(engine, LONG, max_tokens=30)
    length = len(victim.prompt_ids)
    assert max(len(other.prompt_ids) for other in others) + 40 < length
    alone = await _outcomes(engine, others)
    batch = batch_of(engine)
    for value in (float("nan"), float("inf"), -float("inf")):
        hook = spoil_logits(engine, lambda position: position >= length + 5, value)
        *answers, lost = await _outcomes(engine, [*others, victim])
        hook.remove()
        assert isinstance(lost, NanLogits)
        assert answers == alone
    await nothing_is_left(engine)
    assert batch_of(engine) is batch
    assert engine.health().state == "ready"


async def test_what_came_before_the_lost_row_is_given_first(engine: TransformersEngine) -> None:
    asked = ask(engine, PROMPT, max_tokens=30)
    whole = await text_of(engine, asked)
    spoil_logits(engine, lambda position: position == len(asked.prompt_ids) + 7)
    seen = []
    with pytest.raises(NanLogits, match="ask again"):
        async for piece in engine.generate(ask(engine, PROMPT, max_tokens=30)):
            seen += [piece]
    assert sum(piece.tokens for piece in seen) == 8
    text = "".join(piece.text for piece in seen)
    assert text
    assert whole.startswith(text)


async def test_a_step_without_any_finite_logits_fails_the_batch_and_the_next_request_is_right(
    engine: TransformersEngine,
) -> None:
    asked = [ask(engine, f"{PROMPT} {number}", max_tokens=60) for number in range(4)]
    right = await _outcomes(engine, asked)
    hook = spoil_logits(engine, lambda position: position > 40)
    assert [type(each) for each in await _outcomes(engine, asked)] == [NanLogits] * 4
    hook.remove()
    assert await _outcomes(engine, asked) == right
    await nothing_is_left(engine)


async def test_a_cache_that_was_spoilt_is_not_shared_with_those_who_say_the_same(engine: TransformersEngine) -> None:
    asked = ask(engine, LONG, max_tokens=8)  # longer than a batch: its first pages are known before its first token
    assert len(asked.prompt_ids) > 2 * 64
    undo = spoil_token(engine, asked.prompt_ids[3])
    assert [type(each) for each in await _outcomes(engine, [asked])] == [NanLogits]
    undo()
    await until(lambda: not live_of(engine)._doubted and engine.health().state == "ready")
    answer = await pieces_of(engine, asked)
    assert answer[-1].cached_tokens == 0
    assert sum(piece.tokens for piece in answer) == 8
    await nothing_is_left(engine)


async def test_a_model_that_only_computes_nan_is_dead_soon_and_frees_everyone(engine: TransformersEngine) -> None:
    spoil_logits(engine, lambda position: True)
    outcomes = await _outcomes(engine, [ask(engine, PROMPT) for _ in range(3)])
    assert [type(each) for each in outcomes] == [NanLogits] * 3
    await until(lambda: engine.health().state == "dead", within_s=20)
    assert "NaN" in engine.health().reason


async def test_a_model_that_computes_nan_at_the_start_is_not_loaded(
    tiny_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("llmops.engine.noise.DrawPerRow.lost", lambda *_: True)
    with pytest.raises(ModelNotLoaded, match="NaN"):
        await TransformersEngine(str(tiny_folder)).start()


@pytest.mark.parametrize(("error", "expected"), [(BROKEN, EngineStopped), (FULL, OutOfMemory)])
async def test_what_had_not_begun_when_the_loop_died_is_answered_by_the_next_one(
    tiny_folder: Path, error: Exception, expected: type[Exception]
) -> None:
    engine = TransformersEngine(str(tiny_folder), EngineDials(max_running=2))
    await engine.start()
    waiting = [ask(engine, f"{PROMPT} {number}") for number in range(4)]
    right = await _outcomes(engine, waiting)
    begun = [asyncio.create_task(text_of(engine, ask(engine, PROMPT, max_tokens=300))) for _ in range(2)]
    flows = live_of(engine).flows
    await until(lambda: len(flows) == 2 and all(flow.has_begun for flow in flows.values()))
    later = asyncio.create_task(_outcomes(engine, waiting))
    await until(lambda: len(flows) == 6)
    blocks = live_of(engine).plan.num_blocks
    fail_forward(engine, error)
    failed = await asyncio.gather(*begun, return_exceptions=True)
    assert [type(each) for each in failed] == [expected] * 2
    assert await later == right
    assert (live_of(engine).plan.num_blocks == blocks * 3 // 4) == (expected is OutOfMemory)
    await nothing_is_left(engine)
    await engine.stop()


async def test_what_was_handed_on_once_is_not_handed_on_twice(tiny_folder: Path) -> None:
    engine = TransformersEngine(str(tiny_folder), EngineDials(max_running=1))
    await engine.start()
    first = asyncio.create_task(text_of(engine, ask(engine, PROMPT, max_tokens=300)))
    flows = live_of(engine).flows
    await until(lambda: any(flow.has_begun for flow in flows.values()))
    rest = [asyncio.create_task(text_of(engine, ask(engine, PROMPT, max_tokens=300))) for _ in range(2)]
    await until(lambda: len(flows) == 3)
    fail_forward(engine, BROKEN)
    await until(lambda: first.done() and any(flow.has_begun for flow in flows.values()))
    fail_forward(engine, BROKEN)
    outcomes = await asyncio.wait_for(asyncio.gather(first, *rest, return_exceptions=True), 20)
    assert [type(each) for each in outcomes] == [EngineStopped] * 3
    assert await text_of(engine, ask(engine, PROMPT))
    await nothing_is_left(engine)
    await engine.stop()


async def test_after_three_failed_steps_in_a_row_the_next_request_is_right(engine: TransformersEngine) -> None:
    right = await text_of(engine, ask(engine, PROMPT))
    fail_forward(engine, BROKEN, times=LIMIT)
    with pytest.raises(EngineStopped):
        await text_of(engine, ask(engine, PROMPT))
    assert engine.health().state == "degraded"
    assert await asyncio.wait_for(text_of(engine, ask(engine, PROMPT)), 20) == right
    await nothing_is_left(engine)


@KILLS
async def test_a_killed_thread_fails_what_had_begun_and_the_next_request_is_right(engine: TransformersEngine) -> None:
    right = await text_of(engine, ask(engine, PROMPT))
    running = [asyncio.create_task(text_of(engine, ask(engine, PROMPT, max_tokens=400))) for _ in range(3)]
    flows = live_of(engine).flows
    await until(lambda: len(flows) == 3 and all(flow.has_begun for flow in flows.values()))
    kill_thread(engine)
    outcomes = await asyncio.wait_for(asyncio.gather(*running, return_exceptions=True), 10)
    assert [type(each) for each in outcomes] == [EngineStopped] * 3
    assert await text_of(engine, ask(engine, PROMPT)) == right
    await nothing_is_left(engine)


@KILLS
async def test_a_killed_idle_thread_is_never_noticed_by_the_next_request(engine: TransformersEngine) -> None:
    right = await text_of(engine, ask(engine, PROMPT))
    kill_thread(engine)
    await until(lambda: not batch_of(engine).is_alive)
    assert await asyncio.wait_for(text_of(engine, ask(engine, PROMPT)), 10) == right
    await nothing_is_left(engine)


async def test_a_stalled_step_degrades_and_then_everyone_gets_the_right_answer(tiny_folder: Path) -> None:
    engine = TransformersEngine(str(tiny_folder), EngineDials(stall_s=0.2, hang_s=30.0))
    await engine.start()
    asked = [ask(engine, f"{PROMPT} {number}") for number in range(3)]
    right = await _outcomes(engine, asked)
    hook = model_of(engine).register_forward_pre_hook(lambda *_: time.sleep(0.8))
    answers = asyncio.create_task(_outcomes(engine, asked))
    await until(lambda: engine.health().state == "degraded")
    hook.remove()
    assert await answers == right
    assert engine.health().state == "ready"
    await nothing_is_left(engine)
    await engine.stop()


async def test_a_step_that_never_ends_makes_the_engine_dead_and_keeps_nobody_waiting(tiny_folder: Path) -> None:
    engine = TransformersEngine(str(tiny_folder), EngineDials(stall_s=0.1, hang_s=0.5))
    await engine.start()
    release = hang(engine)
    try:
        started = time.monotonic()
        outcomes = await _outcomes(engine, [ask(engine, PROMPT) for _ in range(3)])
        assert [type(each) for each in outcomes] == [EngineStopped] * 3
        assert engine.health().state == "dead"
        assert "hangs" in engine.health().reason
        with pytest.raises(EngineStopped):
            await text_of(engine, ask(engine, PROMPT))
        await engine.stop()
        assert time.monotonic() - started < 5
    finally:
        release.set()
    await until(lambda: not any("_run_generation_loop" in thread.name for thread in threading.enumerate()))


async def test_rare_shortages_of_memory_leave_a_quarter_of_the_cache(engine: TransformersEngine) -> None:
    live = live_of(engine)
    first = live.plan
    for _ in range(40):
        live._shrink()
    assert first.num_blocks // 8 < live.plan.num_blocks <= first.num_blocks // 4


async def test_prompts_found_in_the_cache_are_counted_in_tokens(engine: TransformersEngine) -> None:
    asked = ask(engine, LONG, max_tokens=2)
    for _ in range(2):
        await text_of(engine, asked)
    stats = engine.stats()
    assert stats.prefix_cache_queries == 2 * len(asked.prompt_ids)
    assert stats.prefix_cache_hits == (len(asked.prompt_ids) - 1) // 32 * 32


async def test_every_token_has_its_own_time_even_when_many_come_in_one_piece(engine: TransformersEngine) -> None:
    pieces = []
    async for piece in engine.generate(ask(engine, PROMPT, max_tokens=40)):
        pieces.append(piece)
        if len(pieces) == 1:
            time.sleep(0.3)  # noqa: ASYNC251 - the reader is late on purpose
    assert max(piece.tokens for piece in pieces) > 5
    assert [len(piece.times) for piece in pieces] == [piece.tokens for piece in pieces]
    times = [at for piece in pieces for at in piece.times]
    assert times == sorted(set(times))
    assert [piece.times[-1] for piece in pieces] == [piece.at for piece in pieces]
