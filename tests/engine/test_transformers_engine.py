from __future__ import annotations

import asyncio
import dataclasses
import time
from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Literal

import pytest
import pytest_asyncio
import torch

from llmops.engine.batching import BatchLoop
from llmops.engine.contract import Generation, Sampling
from llmops.engine.dials import EngineDials
from llmops.engine.errors import EngineStopped, OutOfMemory, UnsupportedSampling
from llmops.engine.flow import Flow
from llmops.engine.restarts import LIMIT
from llmops.engine.sampling import Draw
from llmops.engine.transformers_engine import TransformersEngine
from tests.engine.answers import GREEDY, ask, pieces_of, text_of, until

PROMPT = "Tell me about continuous batching and what it shares between those who wait"


@pytest_asyncio.fixture
async def engine(tiny_folder: Path) -> AsyncIterator[TransformersEngine]:
    engine = TransformersEngine(str(tiny_folder))
    await engine.start()
    yield engine
    await engine.stop()


def _model(engine: TransformersEngine) -> Any:
    return engine._here()[0].model


def _fail_forward(engine: TransformersEngine, error: Exception, times: int) -> None:
    """The next `times` forward passes raise."""
    left = [times]

    def before(*_: object) -> None:
        if left[0] > 0:
            left[0] -= 1
            raise error

    _model(engine).register_forward_pre_hook(before)


async def test_greedy_answers_are_those_of_generate(tiny_folder: Path) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    engine = TransformersEngine(str(tiny_folder))
    await engine.start()
    prompts = [f"{PROMPT} {number}" for number in range(4)]
    answers = await asyncio.gather(*[text_of(engine, ask(engine, prompt, max_tokens=32)) for prompt in prompts])
    ids = [ask(engine, prompt).prompt_ids for prompt in prompts]
    await engine.stop()
    model: Any = AutoModelForCausalLM.from_pretrained(tiny_folder)
    tokenizer: Any = AutoTokenizer.from_pretrained(tiny_folder)
    for prompt_ids, answer in zip(ids, answers, strict=True):
        whole = model.generate(torch.tensor([prompt_ids]), max_new_tokens=32, do_sample=False)
        expected = tokenizer.decode(whole[0, len(prompt_ids) :], skip_special_tokens=True)
        assert answer == expected.rstrip("\ufffd")


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (RuntimeError("a kernel failed"), EngineStopped),
        (torch.OutOfMemoryError("CUDA out of memory."), OutOfMemory),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes"), OutOfMemory),
    ],
)
async def test_a_failed_step_fails_what_runs_and_the_next_request_is_right(
    engine: TransformersEngine, error: Exception, expected: type[Exception]
) -> None:
    right = await text_of(engine, ask(engine, PROMPT))
    longest = engine.card.max_model_len
    blocks = engine._here()[1].plan.num_blocks  # type: ignore[union-attr]
    running = [asyncio.create_task(pieces_of(engine, ask(engine, PROMPT, max_tokens=300))) for _ in range(3)]
    flows = engine._here()[1].flows
    await until(lambda: len(flows) == 3 and all(flow.has_begun for flow in flows.values()))
    _fail_forward(engine, error, times=1)
    outcomes = await asyncio.gather(*running, return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [expected] * 3
    assert await text_of(engine, ask(engine, PROMPT)) == right
    assert engine.health().state == "ready"
    assert engine.stats().running == 0
    shrunk = engine._here()[1].plan.num_blocks < blocks  # type: ignore[union-attr]
    assert shrunk == (expected is OutOfMemory)
    assert engine.card.max_model_len <= longest


async def test_a_step_that_always_fails_ends_in_a_dead_engine_that_says_why(engine: TransformersEngine) -> None:
    _fail_forward(engine, RuntimeError("broken for good"), times=1000)
    with pytest.raises(EngineStopped):
        await text_of(engine, ask(engine, PROMPT))
    await until(lambda: engine.health().state == "dead", within_s=30)
    assert f"more than {LIMIT} times" in engine.health().reason
    with pytest.raises(EngineStopped):
        await text_of(engine, ask(engine, PROMPT))


async def test_a_request_during_a_restart_waits_for_it(engine: TransformersEngine) -> None:
    right = await text_of(engine, ask(engine, PROMPT))
    _fail_forward(engine, RuntimeError("once"), times=1)
    with pytest.raises(EngineStopped):
        await text_of(engine, ask(engine, PROMPT))
    assert engine.health().state == "degraded"
    assert await text_of(engine, ask(engine, PROMPT)) == right


async def test_peaks_of_memory_are_counted_anew_when_the_engine_goes_from_idle_to_busy(
    engine: TransformersEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    resets: list[None] = []
    monkeypatch.setattr(torch.cuda, "reset_peak_memory_stats", lambda device: resets.append(None))
    await text_of(engine, ask(engine, PROMPT, max_tokens=2))
    assert len(resets) == 0
    live = engine._here()[1]
    live._loaded = dataclasses.replace(live._loaded, model=SimpleNamespace(device=torch.device("cuda")))
    await asyncio.gather(*[text_of(engine, ask(engine, PROMPT, max_tokens=200)) for _ in range(3)])
    assert len(resets) == 1
    await text_of(engine, ask(engine, PROMPT, max_tokens=2))
    assert len(resets) == 2


async def test_the_sampling_thread_may_ask_while_generations_come_and_the_engine_stops(
    engine: TransformersEngine,
) -> None:
    live = engine._here()[1]

    class Meanwhile(Flow):
        @property
        def length(self) -> int:
            live.flows["another"] = Flow("another", [1, 2, 3], 4, self.draw)
            engine._live = None
            return 3

        @length.setter
        def length(self, length: int) -> None: ...

    draw = Draw(temperature=0.0, top_k=0, top_p=1.0, seed=0)
    live.flows |= {key: Meanwhile(key, [1, 2, 3], 4, draw) for key in ("one", "two")}
    stats = engine.stats()
    engine._live = live
    live.flows.clear()
    assert stats.running == 2


async def test_a_cancelled_generation_leaves_the_batch_loop(engine: TransformersEngine) -> None:
    stream = engine.generate(ask(engine, PROMPT, max_tokens=400))
    await anext(stream)
    await stream.aclose()  # type: ignore[attr-defined]
    manager: Any = engine._here()[1]._batch._manager  # type: ignore[union-attr]
    await until(lambda: not manager.batch_processor.scheduler.active_requests)
    await until(lambda: not manager.output_router.result_handlers and manager.output_router.output_queue.empty())


async def test_a_prompt_said_before_comes_from_the_cache(engine: TransformersEngine) -> None:
    first = await pieces_of(engine, ask(engine, PROMPT))
    second = await pieces_of(engine, ask(engine, PROMPT))
    assert first[-1].cached_tokens == 0
    assert second[-1].cached_tokens is not None
    assert second[-1].cached_tokens >= 32


async def test_pieces_tell_how_many_shared_the_batch(engine: TransformersEngine) -> None:
    answers = await asyncio.gather(*[pieces_of(engine, ask(engine, f"{PROMPT} {n}")) for n in range(8)])
    assert max(piece.batch_size or 0 for answer in answers for piece in answer) == 8


async def test_without_a_seed_answers_differ(engine: TransformersEngine) -> None:
    warm = Sampling(temperature=1.0)
    answers = await asyncio.gather(*[text_of(engine, ask(engine, PROMPT, sampling=warm)) for _ in range(4)])
    assert len(set(answers)) > 1


async def test_top_k_one_is_greedy_at_any_temperature(engine: TransformersEngine) -> None:
    narrow = Sampling(temperature=2.0, top_k=1, seed=3)
    assert await text_of(engine, ask(engine, PROMPT, sampling=narrow)) == await text_of(engine, ask(engine, PROMPT))


@pytest.mark.parametrize(
    "sampling", [Sampling(temperature=2.5), Sampling(temperature=-1), Sampling(top_p=0.0), Sampling(top_k=-1)]
)
async def test_sampling_out_of_range_is_refused_and_harms_nothing(
    engine: TransformersEngine, sampling: Sampling
) -> None:
    with pytest.raises(UnsupportedSampling):
        await text_of(engine, ask(engine, PROMPT, sampling=sampling))
    assert engine.health().state == "ready"


async def test_a_client_may_use_one_id_twice(engine: TransformersEngine) -> None:
    ids = ask(engine, PROMPT).prompt_ids
    same = Generation(id="same", prompt="", prompt_ids=ids, max_tokens=8, sampling=GREEDY)
    answers = await asyncio.gather(text_of(engine, same), text_of(engine, same))
    assert answers[0] == answers[1]


async def test_the_cache_is_used_while_something_runs_and_free_after(engine: TransformersEngine) -> None:
    room = engine.stats().room_tokens or 0
    stream = engine.generate(ask(engine, PROMPT))
    await anext(stream)
    assert (engine.stats().kv_cache_utilization or 0) > 0
    assert engine.stats().room_tokens is not None
    await stream.aclose()  # type: ignore[attr-defined]
    assert (engine.stats().kv_cache_utilization, engine.stats().room_tokens) == (0, room)


async def test_a_cache_smaller_than_the_model_length_lowers_the_limit_and_the_longest_answer_fits(
    tiny_folder: Path,
) -> None:
    engine = TransformersEngine(str(tiny_folder), EngineDials(kv_cache_bytes=400_000, max_running=4))
    await engine.start()
    limit = engine.card.max_model_len
    assert 32 <= limit < 512
    prompts = [ask(engine, str(n)) for n in range(6)]
    longest = [
        Generation(id="", prompt="", prompt_ids=p.prompt_ids, max_tokens=limit - len(p.prompt_ids)) for p in prompts
    ]
    answers = await asyncio.gather(*[pieces_of(engine, one) for one in longest])
    assert all(answer[-1].finish_reason for answer in answers)
    await engine.stop()


async def test_the_model_s_own_generation_defaults_fill_what_a_request_leaves_out(tiny_folder: Path) -> None:
    engine = TransformersEngine(str(tiny_folder))
    await engine.start()
    engine._default = Sampling(temperature=0.0)
    greedy = await text_of(engine, ask(engine, PROMPT))
    assert await text_of(engine, ask(engine, PROMPT, sampling=Sampling())) == greedy
    await engine.stop()


async def test_a_cache_that_does_not_fit_at_the_start_is_made_smaller(
    tiny_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = TransformersEngine(str(tiny_folder))
    asked: list[int] = []
    start = BatchLoop.start

    def fails_twice(loop: BatchLoop) -> None:
        asked.append(loop.plan.num_blocks)
        if len(asked) <= 2:
            raise OutOfMemory("no room")
        start(loop)

    monkeypatch.setattr(BatchLoop, "start", fails_twice)
    await engine.start()
    assert asked[2] < asked[1] < asked[0]
    assert await text_of(engine, ask(engine, PROMPT))
    await engine.stop()


async def test_a_step_that_takes_too_long_makes_the_engine_degraded_until_it_moves(tiny_folder: Path) -> None:
    engine = TransformersEngine(str(tiny_folder), EngineDials(stall_s=0.1))
    await engine.start()
    stream = engine.generate(ask(engine, PROMPT))
    await anext(stream)
    hook = _model(engine).register_forward_pre_hook(lambda *_: time.sleep(0.5))
    await until(lambda: engine.health().state == "degraded")
    hook.remove()
    await until(lambda: engine.health().state == "ready")
    await stream.aclose()  # type: ignore[attr-defined]
    await engine.stop()


async def test_work_after_a_long_rest_is_no_stall(engine: TransformersEngine) -> None:
    engine._here()[1]._batch.draws.stepped_at -= 3600  # type: ignore[union-attr]
    stream = engine.generate(ask(engine, PROMPT, max_tokens=300))
    reading = asyncio.ensure_future(anext(stream))
    await until(lambda: engine.stats().running == 1)
    assert engine.health().state == "ready"
    await reading
    await stream.aclose()  # type: ignore[attr-defined]


@pytest.mark.parametrize("quantization", ["nf4", "int8"])
async def test_quantised_weights_answer(tiny_folder: Path, quantization: Literal["nf4", "int8"]) -> None:
    engine = TransformersEngine(str(tiny_folder), EngineDials(quantization=quantization))
    await engine.start()
    assert engine.card.quantization == quantization
    assert sum(piece.tokens for piece in await pieces_of(engine, ask(engine, PROMPT, max_tokens=4))) == 4
    await engine.stop()
