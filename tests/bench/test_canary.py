"""One tiny question to a small serve that answers, refuses, hangs, starts, drains, or is not there."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from typing import Any

import pytest

from llmops.bench.canary import probe
from llmops.events import BenchmarkEvent
from tests.client.small_server import SNAPSHOT, Asked, delta, open_stream, reply, send, serving, usage


class Serve:
    """With this snapshot, and this answer to a chat: a status with a code, or a stream; it may hang before a token."""

    def __init__(
        self, refusal: tuple[int, str] | None = None, *, hangs: bool = False, pause_s: float = 0.0, **snapshot: Any
    ) -> None:
        self.chats: list[Asked] = []
        self.left = asyncio.Event()
        self._refusal = refusal
        self._hangs = hangs
        self._pause_s = pause_s
        self._snapshot = json.dumps({**SNAPSHOT, **snapshot})

    async def __call__(self, asked: Asked, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if asked.path == "/ops/snapshot":
            await reply(writer, 200, self._snapshot)
            return
        self.chats.append(asked)
        if self._refusal is not None:
            status, code = self._refusal
            await reply(writer, status, json.dumps({"error": {"message": "No.", "code": code}}))
            return
        await open_stream(writer)
        if self._hangs:
            await reader.read()  # until the client leaves
            self.left.set()
            return
        await asyncio.sleep(self._pause_s)
        await send(writer, delta("hi"), delta(finish_reason="stop"), usage(5, 2), "[DONE]")


async def asked(serve: Serve, timeout_s: float = 5.0, stop: threading.Event | None = None) -> BenchmarkEvent | None:
    async with serving(serve) as (url, _):
        return await probe(url, max_tokens=4, timeout_s=timeout_s, stop=stop or threading.Event())


async def test_an_answer_is_an_outcome_with_its_times() -> None:
    serve = Serve()
    event = await asked(serve)
    assert event is not None
    assert (event.suite, event.name, event.trigger, event.max_tokens) == ("canary", "probe", "schedule", 4)
    assert (event.completed, event.failed, event.error_message) == (1, 0, None)
    assert event.ttft_p50_s is not None and event.e2e_p50_s is not None
    assert 0 < event.ttft_p50_s <= event.e2e_p50_s <= event.duration_s
    assert (event.request_model, event.model_version) == ("demo", "v1")
    (chat,) = serve.chats
    assert chat.headers["x-llmops-synthetic"] == "1"
    assert chat.json()["max_tokens"] == 4


@pytest.mark.parametrize("snapshot", [{"state": "starting"}, {"state": "draining"}, {"running": 1}, {"waiting": 1}])
async def test_nothing_is_asked_while_users_are_there_or_serve_comes_or_goes(snapshot: dict[str, Any]) -> None:
    serve = Serve(**snapshot)
    assert await asked(serve) is None
    assert serve.chats == []


@pytest.mark.parametrize("snapshot", [{"state": "dead"}, {"state": "degraded", "running": 1}])
async def test_a_serve_that_is_not_well_is_asked_all_the_same(snapshot: dict[str, Any]) -> None:
    event = await asked(Serve((503, "engine_stopped"), **snapshot))
    assert event is not None
    assert (event.completed, event.failed, event.error_message) == (0, 1, "503 engine_stopped")


@pytest.mark.parametrize(
    "refusal", [(503, "draining"), (503, "not_ready"), (401, "invalid_api_key"), (429, "rate_limit_exceeded")]
)
async def test_a_refusal_that_says_nothing_of_serve_is_no_outcome(refusal: tuple[int, str]) -> None:
    serve = Serve(refusal)
    assert await asked(serve) is None
    assert len(serve.chats) == 1


async def test_an_overload_is_a_failure() -> None:
    event = await asked(Serve((503, "queue_full")))
    assert event is not None and (event.failed, event.error_message) == (1, "503 queue_full")


async def test_an_answer_that_takes_too_long_is_none_and_is_given_up() -> None:
    serve = Serve(hangs=True)
    began = time.monotonic()
    event = await asked(serve, timeout_s=0.3)
    assert event is not None and (event.failed, event.error_message) == (1, "no answer in time")
    assert event.ttft_p50_s is None and event.e2e_p50_s is None
    assert time.monotonic() - began < 5.0
    await asyncio.wait_for(serve.left.wait(), 5.0)


async def test_that_nobody_answers_is_an_outcome_and_no_secret_is_written_down() -> None:
    async with serving(Serve()) as (url, _):
        pass
    secret = url.replace("http://", "http://me:secret@")
    event = await probe(secret, max_tokens=4, timeout_s=5.0, stop=threading.Event())
    assert event is not None
    assert (event.completed, event.failed, event.error_message) == (0, 1, "nothing listens there")
    assert (event.url, event.request_model) == (url, None)


async def test_it_ends_with_its_program() -> None:
    stop = threading.Event()
    serve = Serve(hangs=True)
    asyncio.get_running_loop().call_later(0.3, stop.set)
    began = time.monotonic()
    assert await asked(serve, timeout_s=60.0, stop=stop) is None
    assert time.monotonic() - began < 5.0
    assert len(serve.chats) == 1


@pytest.mark.parametrize(
    ("expected", "fails"),
    [({}, True), ({"expected_output_tokens_per_s": 10.0, "expected_input_tokens_per_s": 640.0}, False)],
)
async def test_a_slow_machine_gets_the_time_that_the_answer_takes_there(expected: dict[str, Any], fails: bool) -> None:
    serve = Serve(pause_s=0.8, **expected)
    event = await asked(serve, timeout_s=0.3)
    assert event is not None
    assert event.failed == fails
