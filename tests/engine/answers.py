"""Asking an engine and collecting what it says, for tests."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Callable

from llmops.engine.contract import Engine, Generation, Message, Piece, Sampling

GREEDY = Sampling(temperature=0.0)
_ids = itertools.count()


def ask(
    engine: Engine, text: str, *, max_tokens: int = 24, sampling: Sampling = GREEDY, stop: tuple[str, ...] = ()
) -> Generation:
    prompt = [Message("user", text)]
    return Generation(
        id=f"t{next(_ids)}",
        prompt=prompt,
        prompt_ids=engine.encode(prompt),
        max_tokens=max_tokens,
        sampling=sampling,
        stop=stop,
    )


async def pieces_of(engine: Engine, generation: Generation) -> list[Piece]:
    return [piece async for piece in engine.generate(generation)]


async def text_of(engine: Engine, generation: Generation) -> str:
    return "".join(piece.text for piece in await pieces_of(engine, generation))


async def until(fact: Callable[[], bool], within_s: float = 5.0) -> None:
    deadline = time.monotonic() + within_s
    while not fact():
        assert time.monotonic() < deadline, "it did not become true in time"
        await asyncio.sleep(0.01)
