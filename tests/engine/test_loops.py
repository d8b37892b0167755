"""A loop is seen by either engine, and ended only where that is allowed."""

from __future__ import annotations

import dataclasses
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from llmops.engine.contract import Engine, Generation
from llmops.engine.dials import EchoDials
from llmops.engine.echo import EchoEngine
from llmops.engine.transformers_engine import TransformersEngine
from tests.engine.answers import ask, pieces_of

LOOP = "again " * 150
WORD = 80

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest_asyncio.fixture(params=["echo", "transformers"])
async def looping(request: pytest.FixtureRequest, tiny_folder: Path) -> AsyncIterator[Engine]:
    """The echo of a loop; and a model that knows one word."""
    if request.param == "echo":
        echo = EchoEngine(EchoDials(tokens_per_s=0.0, ttft_s=0.0))
        await echo.start()
        yield echo
        return
    engine = TransformersEngine(str(tiny_folder))
    await engine.start()

    def one_word(*call: object) -> None:
        call[-1].logits[..., WORD] = 1e4  # type: ignore[attr-defined]

    engine._here()[0].model.register_forward_hook(one_word)
    yield engine
    await engine.stop()


def _asked(engine: Engine) -> Generation:
    return ask(engine, LOOP if isinstance(engine, EchoEngine) else "go", max_tokens=250)


async def test_a_loop_is_noticed_and_goes_on_where_nobody_asked_to_end_it(looping: Engine) -> None:
    pieces = await pieces_of(looping, _asked(looping))
    assert sum(piece.tokens for piece in pieces) == 250
    assert (pieces[-1].finish_reason, pieces[-1].stopped_by, pieces[-1].loop_detected) == ("length", None, True)
    assert not pieces[0].loop_detected


async def test_a_loop_is_ended_when_that_is_allowed(looping: Engine) -> None:
    asked = dataclasses.replace(_asked(looping), stop_loops=True)
    pieces = await pieces_of(looping, asked)
    assert sum(piece.tokens for piece in pieces) == 192
    assert (pieces[-1].finish_reason, pieces[-1].stopped_by, pieces[-1].loop_detected) == ("stop", "loop", True)
    assert looping.stats().running == 0


@pytest.mark.parametrize(("stop", "by"), [((), "eos"), (("three",), "stop_string")])
async def test_an_answer_that_ends_says_what_ended_it(stop: tuple[str, ...], by: str) -> None:
    engine = EchoEngine(EchoDials(tokens_per_s=0.0, ttft_s=0.0))
    await engine.start()
    pieces = await pieces_of(engine, ask(engine, "one two three four", stop=stop))
    assert (pieces[-1].finish_reason, pieces[-1].stopped_by, pieces[-1].loop_detected) == ("stop", by, False)
