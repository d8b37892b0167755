"""The contract of every engine, run on each implementation."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from llmops.engine.build import build_engine
from llmops.engine.contract import Engine, Generation, Message, Sampling
from llmops.engine.dials import EchoDials, EngineDials, EngineKind, UpstreamDials
from llmops.engine.errors import BadPrompt, EngineError, EngineStopped, PromptTooLong
from tests.engine import tiny_model
from tests.engine.answers import ask, pieces_of, text_of, until
from tests.engine.openai_server import openai_server

KINDS: list[EngineKind] = ["echo", "transformers", "transformers-sequential", "upstream"]
PROMPT = "one two three four five six seven eight nine ten eleven twelve thirteen"


@pytest.fixture(scope="session")
def tiny_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_model.build(tmp_path_factory.mktemp("tiny"))


@contextlib.asynccontextmanager
async def _unstarted(kind: EngineKind, request: pytest.FixtureRequest) -> AsyncIterator[Engine]:
    echo = EchoDials(tokens_per_s=500, ttft_s=0.0, max_model_len=512)
    if kind == "echo":
        yield build_engine("echo", dials=EngineDials(echo=echo))
    elif kind == "upstream":
        # The upstream counts words, the engine estimates: what fits by the estimate must fit there too.
        roomy = dataclasses.replace(echo, max_model_len=1024)
        async with openai_server(roomy, told_len=512) as server:
            yield build_engine("upstream", dials=EngineDials(upstream=UpstreamDials(url=server.url)))
    else:
        yield build_engine(kind, str(request.getfixturevalue("tiny_folder")))


@pytest_asyncio.fixture(params=KINDS)
async def engine(request: pytest.FixtureRequest) -> AsyncIterator[Engine]:
    async with _unstarted(request.param, request) as engine:
        await engine.start()
        yield engine
        await engine.stop()


async def test_an_answer_has_one_finish_reason_and_it_comes_last(engine: Engine) -> None:
    pieces = await pieces_of(engine, ask(engine, PROMPT))
    assert [piece.finish_reason is not None for piece in pieces] == [False] * (len(pieces) - 1) + [True]
    assert "".join(piece.text for piece in pieces)


async def test_token_counts_add_up_to_max_tokens_and_say_length(engine: Engine) -> None:
    pieces = await pieces_of(engine, ask(engine, PROMPT, max_tokens=7))
    assert sum(piece.tokens for piece in pieces) == 7
    assert pieces[-1].finish_reason == "length"


async def test_only_the_last_piece_may_come_without_tokens_and_times_never_go_back(engine: Engine) -> None:
    pieces = await pieces_of(engine, ask(engine, PROMPT))
    assert all(piece.tokens > 0 for piece in pieces[:-1])
    assert [piece.at for piece in pieces] == sorted(piece.at for piece in pieces)


async def test_a_single_token_answer_is_one_piece(engine: Engine) -> None:
    (piece,) = await pieces_of(engine, ask(engine, PROMPT, max_tokens=1))
    assert (piece.tokens, piece.finish_reason) == (1, "length")


@pytest.mark.parametrize("length", [1, 2, 5])
async def test_a_stop_string_across_pieces_ends_the_answer_before_it(engine: Engine, length: int) -> None:
    whole = await text_of(engine, ask(engine, PROMPT))
    stop = whole[6 : 6 + length]
    pieces = await pieces_of(engine, ask(engine, PROMPT, stop=("never said", stop)))
    assert "".join(piece.text for piece in pieces) == whole[: whole.index(stop)]
    assert pieces[-1].finish_reason == "stop"
    await until(lambda: engine.stats().running == 0)


async def test_a_stop_string_that_never_comes_loses_no_text(engine: Engine) -> None:
    whole = await text_of(engine, ask(engine, PROMPT))
    assert await text_of(engine, ask(engine, PROMPT, stop=(whole[-1] + "\u0001 no such end",))) == whole


async def test_closing_early_frees_the_slot_at_once(engine: Engine) -> None:
    stream = engine.generate(ask(engine, PROMPT, max_tokens=400))
    await anext(stream)
    assert engine.stats().running == 1
    await stream.aclose()  # type: ignore[attr-defined]
    assert engine.stats().running == 0
    assert await text_of(engine, ask(engine, PROMPT, max_tokens=5))


async def test_cancelling_the_reading_task_frees_the_slot(engine: Engine) -> None:
    task = asyncio.create_task(pieces_of(engine, ask(engine, PROMPT, max_tokens=400)))
    await until(lambda: engine.stats().running == 1)
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
    assert engine.stats().running == 0


async def test_twenty_at_once_get_the_answers_they_get_alone(engine: Engine) -> None:
    prompts = [f"{PROMPT} {number}" for number in range(20)]
    alone = [await text_of(engine, ask(engine, prompt)) for prompt in prompts]
    together = await asyncio.gather(*[text_of(engine, ask(engine, prompt)) for prompt in prompts])
    assert together == alone
    assert engine.stats().running == 0


async def test_greedy_gives_the_same_answer_twice(engine: Engine) -> None:
    assert await text_of(engine, ask(engine, PROMPT)) == await text_of(engine, ask(engine, PROMPT))


async def test_a_seed_gives_the_same_answer_alone_and_in_company(engine: Engine) -> None:
    seeded = Sampling(temperature=1.0, top_p=0.95, top_k=50, seed=1234)
    alone = await text_of(engine, ask(engine, PROMPT, sampling=seeded))
    company = [ask(engine, f"other {n}", sampling=Sampling(temperature=0.1 * n, seed=n)) for n in range(12)]
    answers = await asyncio.gather(*[text_of(engine, one) for one in [*company, ask(engine, PROMPT, sampling=seeded)]])
    assert answers[-1] == alone


async def test_equal_messages_have_equal_prompts_and_more_text_has_more_tokens(engine: Engine) -> None:
    short, long = [Message("user", "hello")], [Message("system", "be brief"), Message("user", "hello you 🙂")]
    assert engine.encode(short) == engine.encode(short)
    assert len(engine.encode(long)) > len(engine.encode(short)) > 0


@pytest.mark.parametrize("messages", [[], [Message("wizard", "hello")]])
async def test_a_prompt_that_the_template_refuses_is_a_bad_prompt(engine: Engine, messages: list[Message]) -> None:
    with pytest.raises(BadPrompt, match=r"\w.*\."):
        engine.encode(messages)


async def test_bare_text_is_continued_and_none_is_a_bad_prompt(engine: Engine) -> None:
    ids = engine.encode(PROMPT)
    assert ids == engine.encode(PROMPT) != engine.encode([Message("user", PROMPT)])
    bare = Generation(id="bare", prompt=PROMPT, prompt_ids=ids, max_tokens=4, sampling=Sampling(temperature=0.0))
    assert await text_of(engine, bare), "no chance: a sampled answer may end at once"
    with pytest.raises(BadPrompt, match=r"prompt is empty"):
        engine.encode("")


async def test_more_than_the_model_length_is_refused_before_it_runs(engine: Engine) -> None:
    with pytest.raises(PromptTooLong) as caught:
        await text_of(engine, ask(engine, PROMPT, max_tokens=engine.card.max_model_len))
    assert caught.value.slug == "context_length"
    assert engine.stats().running == 0


async def test_an_answer_that_just_fits_the_model_length_is_given(engine: Engine) -> None:
    fits = engine.card.max_model_len - len(engine.encode([Message("user", PROMPT)]))
    pieces = await pieces_of(engine, ask(engine, PROMPT, max_tokens=fits))
    assert sum(piece.tokens for piece in pieces) <= fits
    assert engine.health().state == "ready"


async def test_no_tokens_is_refused(engine: Engine) -> None:
    with pytest.raises(BadPrompt):
        await text_of(engine, ask(engine, PROMPT, max_tokens=0))


async def test_health_is_ready_between_start_and_stop_and_stop_may_come_twice(engine: Engine) -> None:
    assert engine.health().state == "ready"
    card = engine.card
    await engine.stop()
    await engine.stop()
    assert engine.card == card
    assert engine.health().state == "dead"
    assert engine.health().reason


async def test_what_runs_at_stop_fails_with_a_typed_error(engine: Engine) -> None:
    task = asyncio.create_task(pieces_of(engine, ask(engine, PROMPT * 2, max_tokens=200)))
    await until(lambda: engine.stats().running == 1)
    await engine.stop()
    with pytest.raises(EngineStopped):
        await task


@pytest.mark.parametrize("kind", KINDS)
async def test_an_engine_that_has_not_started_is_not_ready_and_refuses(
    kind: EngineKind, request: pytest.FixtureRequest
) -> None:
    async with _unstarted(kind, request) as engine:
        assert engine.health().state == "starting"
        with pytest.raises(EngineError):
            await asyncio.wait_for(text_of(engine, Generation(id="x", prompt="", prompt_ids=[1, 2], max_tokens=3)), 1)
