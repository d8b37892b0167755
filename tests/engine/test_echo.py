from __future__ import annotations

import asyncio
import time

import pytest

from llmops.engine.contract import Message
from llmops.engine.dials import EchoDials
from llmops.engine.echo import EchoEngine
from llmops.engine.errors import EngineStopped, OutOfMemory
from tests.engine.answers import ask, pieces_of, text_of, until


async def _started(dials: EchoDials) -> EchoEngine:
    engine = EchoEngine(dials)
    await engine.start()
    return engine


async def test_it_says_the_last_user_message_again_and_stops() -> None:
    engine = await _started(EchoDials(tokens_per_s=0, ttft_s=0))
    said = "Hello,  wörld! 🙂👩‍💻\n你好 ünconstitutional"
    turns = [Message("system", "be brief"), Message("user", "first"), Message("assistant", "ok"), Message("user", said)]
    generation = ask(engine, said, max_tokens=100)
    pieces = await pieces_of(engine, generation)
    assert "".join(piece.text for piece in pieces) == said
    assert pieces[-1].finish_reason == "stop"
    assert engine.encode(turns)[-len(generation.prompt_ids) :] == generation.prompt_ids


async def test_tokens_come_at_the_set_pace_without_drift() -> None:
    engine = await _started(EchoDials(tokens_per_s=100, ttft_s=0.1))
    started_at = time.monotonic()
    pieces = await pieces_of(engine, ask(engine, "word " * 60, max_tokens=41))
    assert 0.1 <= pieces[0].at - started_at < 0.25
    assert 0.35 <= pieces[-1].at - pieces[0].at < 0.55


async def test_three_hundred_at_once_keep_their_pace() -> None:
    engine = await _started(EchoDials(tokens_per_s=20, ttft_s=0.05))
    started_at = time.monotonic()
    answers = await asyncio.gather(*[pieces_of(engine, ask(engine, f"a b c {n}", max_tokens=7)) for n in range(300)])
    assert all(sum(piece.tokens for piece in answer) == 7 for answer in answers)
    assert 0.3 <= time.monotonic() - started_at < 1.5


async def test_the_told_request_runs_out_of_memory_and_only_that_one() -> None:
    engine = await _started(EchoDials(tokens_per_s=0, ttft_s=0, oom_at=2))
    assert await text_of(engine, ask(engine, "one")) == "one"
    with pytest.raises(OutOfMemory):
        await text_of(engine, ask(engine, "two"))
    assert await text_of(engine, ask(engine, "three")) == "three"


async def test_the_told_request_stalls_until_it_is_closed() -> None:
    engine = await _started(EchoDials(tokens_per_s=0, ttft_s=0, stall_at=1))
    stalled = asyncio.create_task(text_of(engine, ask(engine, "one")))
    await until(lambda: engine.stats().running == 1)
    assert await text_of(engine, ask(engine, "two")) == "two"
    assert not stalled.done()
    stalled.cancel()
    await until(lambda: engine.stats().running == 0)


async def test_the_told_request_kills_the_engine_and_all_that_runs() -> None:
    engine = await _started(EchoDials(tokens_per_s=20, ttft_s=0.05, die_at=2))
    running = asyncio.create_task(text_of(engine, ask(engine, "one two three four five")))
    await until(lambda: engine.stats().running == 1)
    with pytest.raises(EngineStopped):
        await text_of(engine, ask(engine, "die"))
    with pytest.raises(EngineStopped):
        await running
    assert engine.health().state == "dead"
