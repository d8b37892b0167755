"""One round of everything at once, through the HTTP API: good clients, bad ones, leavers, and a fault in the engine."""

from __future__ import annotations

import asyncio
import collections
import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import torch

from llmops.engine.dials import EngineDials
from llmops.engine.restarts import Restarts
from llmops.engine.transformers_engine import TransformersEngine
from tests.api.running import Running, running
from tests.engine.answers import until
from tests.engine.torture import faults
from tests.engine.torture.clients import Answer, chat, leave, post

PROMPT = "Tell me what survives"
_VICTIM = PROMPT + " and what does not" * 8
_FINE = {"engine_stopped", "oom", "nan_logits"}


class Torture:
    """A server under torture; `round` raises AssertionError where anything was lost, doubled or left behind."""

    def __init__(self, server: Running, engine: TransformersEngine, port: int, right: str) -> None:
        self.port = port
        self.told: collections.Counter[str] = collections.Counter()  # what clients got: `answered`, or an error's slug
        self._server = server
        self._engine = engine
        self._right = right
        self._plan = faults.live_of(engine).plan
        self._asked = 0
        self._faults: tuple[Callable[[], Any], ...] = (
            lambda: None,
            lambda: faults.fail_forward(engine, RuntimeError("a kernel failed")),
            lambda: faults.spoil_logits(engine, lambda position: position > 140),
            lambda: faults.fail_forward(engine, torch.OutOfMemoryError("CUDA out of memory.")),
            lambda: faults.kill_thread(engine),
        )

    async def round(self, number: int) -> None:
        """The fault is chosen by the number; the moments are chosen by its chance."""
        rng = random.Random(number)
        self._server.requests.clear()
        self._server.kept.documents.clear()
        self._asked = 0
        asked = [
            *[self._post(chat(f"{PROMPT} {n}", max_tokens=24, stream=n % 2 == 0)) for n in range(4)],
            *[self._post(chat(PROMPT), request_id="twice") for _ in range(2)],
            self._post(chat(_VICTIM, max_tokens=40)),
            self._post(chat(PROMPT, max_tokens=100_000)),
            self._post(chat(PROMPT, temperature=9)),
            *[self._leave(chat(f"{PROMPT} {n}", max_tokens=200, stream=True), rng.random() / 10) for n in range(4)],
        ]
        tasks = [asyncio.ensure_future(one) for one in asked]
        await asyncio.sleep(rng.random() / 20)
        hook = self._faults[number % len(self._faults)]()
        answers = [answer for answer in await asyncio.gather(*tasks) if answer is not None]
        self.told.update(answer.slug or "answered" for answer in answers)
        if hook is not None:
            hook.remove()
        await self._everything_is_as_before(answers)

    async def _everything_is_as_before(self, answers: list[Answer]) -> None:
        assert all(answer.status in (200, 400) or answer.slug in _FINE for answer in answers), answers
        assert sorted(answer.slug or "" for answer in answers if answer.status == 400) == [
            "context_length_exceeded",
            "invalid_value",
        ]
        last = await self._post(chat(PROMPT))
        assert (last.status, last.text) == (200, self._right)
        await until(lambda: len(self._server.requests) >= self._asked, within_s=10)
        await faults.nothing_is_left(self._engine)
        gate = self._server.station.gate
        left = (len(self._server.requests), gate.running, gate.waiting)
        assert left == (self._asked, 0, 0), left
        assert self._server.station.state == "ready"
        live = faults.live_of(self._engine)
        live._restarts, live.plan = Restarts(), self._plan  # rounds are hours apart

    def _post(self, body: dict[str, Any], request_id: str | None = None) -> Any:
        self._asked += 1
        return post(self.port, body, request_id=request_id)

    def _leave(self, body: dict[str, Any], after_s: float) -> Any:
        self._asked += 1
        return leave(self.port, body, after_s)


@asynccontextmanager
async def tortured(folder: Path) -> AsyncIterator[Torture]:
    """A server with a small batch over the model in `folder`, warmed up."""
    engine = TransformersEngine(str(folder), EngineDials(max_running=4, max_batch_tokens=64))
    async with running(engine, max_running=4, queue_size=1_000) as server:
        port = int(server.url.rpartition(":")[2])
        right = await post(port, chat(PROMPT))
        await server.settled(1)
        yield Torture(server, engine, port, right.text)
