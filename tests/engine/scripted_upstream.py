"""An upstream that finds and probes well, and then answers as a test tells it to."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TypeAlias

from llmops.engine.dials import EngineDials, UpstreamDials
from llmops.engine.upstream import UpstreamEngine
from tests.client.small_server import Asked, delta, open_stream, reply, send, serving

Turn: TypeAlias = Callable[[Asked, asyncio.StreamWriter], Awaitable[None]]
ONE_MODEL = json.dumps({"data": [{"id": "m", "max_model_len": 512}]})


@dataclasses.dataclass
class Upstream:
    """What it says of its models, and its requests; `turns` are played one after the other, the last for ever."""

    models: tuple[int, str] = (200, ONE_MODEL)
    turns: tuple[Turn, ...] = ()
    probe: Turn | None = None
    url: str = ""
    asked: list[Asked] = dataclasses.field(default_factory=list)
    looks: int = 0

    async def play(self, asked: Asked, _: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if asked.method == "GET":
            self.looks += 1
            await reply(writer, *self.models)
        elif asked.json().get("max_tokens") == 1:
            await (self.probe or said("hi"))(asked, writer)
        else:
            self.asked.append(asked)
            await self.turns[min(len(self.asked), len(self.turns)) - 1](asked, writer)


def said(*texts: str, finish_reason: str | None = "stop", done: bool = True) -> Turn:
    """A stream of these deltas."""

    async def turn(_: Asked, writer: asyncio.StreamWriter) -> None:
        await open_stream(writer)
        await send(writer, *[delta(text) for text in texts])
        if finish_reason:
            await send(writer, delta(finish_reason=finish_reason))
        if done:
            await send(writer, "[DONE]")

    return turn


def streamed(*events: object) -> Turn:
    """A stream of exactly these data events, and then its end."""

    async def turn(_: Asked, writer: asyncio.StreamWriter) -> None:
        await open_stream(writer)
        await send(writer, *events)

    return turn


def replied(status: int, body: str, *headers: str) -> Turn:
    """A whole response."""

    async def turn(_: Asked, writer: asyncio.StreamWriter) -> None:
        await reply(writer, status, body, *headers)

    return turn


async def hung_up(_: Asked, writer: asyncio.StreamWriter) -> None:
    """Closes the connection without a word."""
    writer.close()


@contextlib.asynccontextmanager
async def upstream(
    *turns: Turn, start: bool = True, max_model_len: int | None = None, model: str | None = None, **dials: object
) -> AsyncIterator[tuple[UpstreamEngine, Upstream]]:
    """An engine before such an upstream; started unless told otherwise, stopped in any case."""
    told = Upstream(turns=turns)
    async with serving(told.play) as (url, _):
        told.url = f"{url}/v1"
        patience = UpstreamDials(**{"url": told.url, "look_every_s": 0.02, "start_timeout_s": 5.0, **dials})  # type: ignore[arg-type]
        engine = UpstreamEngine(model, EngineDials(upstream=patience, max_model_len=max_model_len))
        try:
            if start:
                await engine.start()
            yield engine, told
        finally:
            await engine.stop()
