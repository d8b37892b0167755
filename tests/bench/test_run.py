from __future__ import annotations

import asyncio
import json
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmops.bench.run import GaveWay, _spread, run_benchmark
from llmops.client import ServeUnreachable
from tests.client.small_server import SNAPSHOT, Asked, Script, delta, open_stream, reply, send, serving, usage


class _Serve:
    """Answers with ten tokens; refuses the requests whose number is in `refused`."""

    def __init__(self, refused: set[int] | None = None) -> None:
        self.chats = 0
        self.says: dict[str, object] = {}
        self.at_once = 0
        self.most_at_once = 0
        self._refused = refused or set()

    async def __call__(self, asked: Asked, _: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if asked.path == "/ops/snapshot":
            await reply(writer, 200, json.dumps({**SNAPSHOT, **self.says}))
            return
        self.chats += 1
        if self.chats in self._refused:
            await reply(writer, 503, '{"error": {"code": "queue_full", "message": "full"}}')
            return
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        await open_stream(writer)
        await asyncio.sleep(0.02)
        for text in "ab":
            await send(writer, delta(text))
            await asyncio.sleep(0.01)
        self.at_once -= 1
        await send(writer, delta(finish_reason="stop"), usage(5, 10), "[DONE]")


async def test_a_run_counts_and_measures_what_was_answered() -> None:
    serve = _Serve()
    script: Script = serve
    async with serving(script) as (url, asked):
        run = await run_benchmark(url, requests=6, concurrency=3, max_tokens=10, trigger="manual")
    assert (run.completed, run.failed, run.concurrency, run.trigger) == (6, 0, 3, "manual")
    assert serve.most_at_once == 3
    assert (run.max_tokens, run.url) == (10, url)
    assert run.output_tokens_per_s == pytest.approx(60 / run.duration_s)
    assert run.total_tokens_per_s == pytest.approx(90 / run.duration_s)
    assert run.goodput_per_s == run.requests_per_s == pytest.approx(6 / run.duration_s)
    assert run.ttft_p50_s is not None and 0.02 <= run.ttft_p50_s < 1.0
    assert run.itl_p50_s is not None and run.e2e_p99_s is not None and run.tpot_mean_s is not None
    assert (run.request_model, run.torch_version, run.cuda_version) == ("demo", "2.13.0", "12.8")
    chats = [request for request in asked if request.path != "/ops/snapshot"]
    assert all(request.headers["x-llmops-synthetic"] == "1" for request in asked)
    assert {request.json()["temperature"] for request in chats} == {0.0}
    assert len({request.json()["seed"] for request in chats}) == 1
    assert any(not request.json()["messages"][0]["content"].isascii() for request in chats)


async def test_refused_requests_are_counted_not_raised() -> None:
    async with serving(_Serve(refused={2, 3})) as (url, _):
        run = await run_benchmark(url, requests=5, concurrency=1, max_tokens=10, trigger="schedule")
    assert (run.completed, run.failed) == (3, 2)


async def test_when_nothing_is_answered_there_are_no_times() -> None:
    async with serving(_Serve(refused={1, 2})) as (url, _):
        run = await run_benchmark(url, requests=2, concurrency=2, max_tokens=10, trigger="manual")
    assert (run.completed, run.failed, run.output_tokens_per_s) == (0, 2, 0.0)
    assert run.ttft_p50_s is None and run.e2e_mean_s is None


@pytest.mark.parametrize(
    "says", [{"waiting": 1, "running": 16}, {"waiting": 3}, {"waiting": 2, "running": 1, "running_capacity": 1}]
)
async def test_a_run_that_can_stop_gives_way_to_users(says: dict[str, object]) -> None:
    serve = _Serve()
    serve.says = says
    async with serving(serve) as (url, _):
        with pytest.raises(GaveWay):
            await run_benchmark(
                url, requests=5, concurrency=2, max_tokens=10, trigger="schedule", stop=threading.Event()
            )
        assert serve.chats == 0
        run = await run_benchmark(url, requests=5, concurrency=2, max_tokens=10, trigger="manual")
    assert run.completed == 5


async def test_requests_of_the_run_itself_are_no_users() -> None:
    serve = _Serve()
    serve.says = {"waiting": 1, "running": 1, "running_capacity": 1}
    async with serving(serve) as (url, _):
        run = await run_benchmark(
            url, requests=4, concurrency=2, max_tokens=10, trigger="schedule", stop=threading.Event()
        )
    assert run.completed == 4


async def test_a_run_that_is_told_to_stop_begins_no_further_request() -> None:
    serve, stop = _Serve(), threading.Event()
    async with serving(serve) as (url, _):
        asyncio.get_running_loop().call_later(0.1, stop.set)
        with pytest.raises(GaveWay):
            await run_benchmark(url, requests=500, concurrency=1, max_tokens=10, trigger="schedule", stop=stop)
    assert 0 < serve.chats < 50


async def test_a_password_in_the_address_is_not_recorded() -> None:
    async with serving(_Serve()) as (url, _):
        secret = url.replace("http://", "http://me:secret@") + "/"
        run = await run_benchmark(secret, requests=1, concurrency=1, max_tokens=10, trigger="manual")
    assert run.url == url


async def test_without_serve_there_is_no_run() -> None:
    with pytest.raises(ServeUnreachable):
        await run_benchmark("http://127.0.0.1:1", requests=1, concurrency=1, max_tokens=1, trigger="manual")


@given(st.lists(st.floats(0.0, 1e6), min_size=1, max_size=300))
def test_a_percentile_is_the_smallest_value_that_so_many_do_not_exceed(values: list[float]) -> None:
    spread = _spread(values)
    for share in (50, 95, 99):
        value = spread[f"p{share}"]
        assert value in values
        assert 100 * sum(other <= value for other in values) >= share * len(values)
        assert 100 * sum(other < value for other in values) < share * len(values)
