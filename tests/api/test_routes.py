"""What a client sees beside the answers: refusals, departures, health, metrics, the live feed, the end."""

from __future__ import annotations

import asyncio
import json
import time
from typing import Any

import httpx
import pytest

from llmops.engine.dials import EchoDials
from llmops.engine.echo import EchoEngine
from llmops.engine.errors import ModelNotLoaded
from llmops.engine.transformers_engine import TransformersEngine
from tests.api.running import Running, running

CHAT = "/v1/chat/completions"
HELLO = {"messages": [{"role": "user", "content": "one two three"}]}
LONG = {"messages": [{"role": "user", "content": "word " * 2000}], "max_tokens": 2000}


def slow() -> EchoEngine:
    return EchoEngine(EchoDials(tokens_per_s=20.0, ttft_s=0.0))


async def until(condition: Any, timeout_s: float = 5.0) -> None:
    async with asyncio.timeout(timeout_s):
        while not condition():
            await asyncio.sleep(0.005)


@pytest.mark.parametrize("stream", [True, False])
async def test_a_client_that_leaves_stops_its_generation_and_is_recorded_as_unknown(stream: bool) -> None:
    async with running(slow()) as server:
        async with httpx.AsyncClient() as http:
            leaving = asyncio.create_task(http.post(server.url + CHAT, json={**LONG, "stream": stream}))
            await until(lambda: server.engine.stats().running == 1)
            leaving.cancel()
        await until(lambda: server.engine.stats().running == 0 and server.station.gate.running == 0)
        (event,) = await server.settled(1)
        assert (event.outcome, event.status_code, event.slo_eligible) == ("unknown", 499, False)


async def test_a_client_that_leaves_the_queue_frees_its_place() -> None:
    async with running(slow(), max_running=1, queue_size=1) as server, httpx.AsyncClient() as http:
        first = asyncio.create_task(http.post(server.url + CHAT, json=LONG))
        await until(lambda: server.station.gate.running == 1)
        second = asyncio.create_task(http.post(server.url + CHAT, json=LONG))
        await until(lambda: server.station.gate.waiting == 1)
        second.cancel()
        await until(lambda: server.station.gate.waiting == 0)
        first.cancel()
        await server.settled(2)


async def test_three_hundred_at_once_each_get_one_answer_and_one_event() -> None:
    """116 fit (16 run, 100 wait); the others are refused at once."""
    engine = EchoEngine(EchoDials(tokens_per_s=100.0, ttft_s=0.05))
    async with running(engine) as server:
        limits = httpx.Limits(max_connections=None)
        async with httpx.AsyncClient(limits=limits, timeout=60) as http:
            answers = await asyncio.gather(*(http.post(server.url + CHAT, json=HELLO) for _ in range(300)))
        refused = [answer for answer in answers if answer.status_code == 503]
        assert sum(answer.status_code == 200 for answer in answers) + len(refused) == 300
        assert len(refused) >= 300 - 116 - 50
        assert {answer.json()["error"]["code"] for answer in refused} == {"queue_full"}
        assert all(1 <= int(answer.headers["retry-after"]) <= 120 for answer in refused)
        events = await server.settled(300)
        assert len(events) == len({event.request_id for event in events}) == 300
        assert sum(event.error_type == "queue_full" for event in events) == len(refused)
        assert all(event.slo_eligible for event in events)


@pytest.mark.parametrize(
    ("content", "status", "code"),
    [
        (b"{", 400, "invalid_value"),
        (b"\xff\xfe", 400, "invalid_value"),
        (b"[]", 400, "invalid_value"),
        (b'{"messages": "hi"}', 400, "invalid_value"),
        (b'{"messages": [{"role": "user", "content": "' + b"x" * 3000 + b'"}]}', 413, "request_too_large"),
    ],
)
async def test_a_bad_body_is_one_sentence_and_one_event(content: bytes, status: int, code: str) -> None:
    async with running(max_body_bytes=2000) as server, httpx.AsyncClient() as http:
        answer = await http.post(server.url + CHAT, content=content)
        assert answer.status_code == status
        error = answer.json()["error"]
        assert error["code"] == code
        assert error["message"].endswith(".")
        (event,) = await server.settled(1)
        assert event.status_code == status


async def test_unknown_paths_and_methods_have_the_error_shape_of_the_api() -> None:
    async with running() as server, httpx.AsyncClient() as http:
        for method, path, status in (("GET", "/v1/nothing", 404), ("GET", CHAT, 405), ("POST", "/health", 405)):
            answer = await http.request(method, server.url + path)
            assert answer.status_code == status
            assert set(answer.json()["error"]) == {"message", "type", "param", "code"}


async def test_the_request_id_comes_back_and_a_hostile_one_does_not() -> None:
    async with running() as server, httpx.AsyncClient() as http:
        mine = await http.post(server.url + CHAT, json=HELLO, headers={"x-request-id": "mine-1"})
        assert mine.headers["x-request-id"] == "mine-1"
        hostile = await http.post(server.url + CHAT, json=HELLO, headers={"x-request-id": "a" * 500})
        assert hostile.headers["x-request-id"] != "a" * 500
        trace = f"00-{'a' * 32}-{'b' * 16}-01"
        await http.post(server.url + CHAT, json=HELLO, headers={"traceparent": trace, "x-llmops-synthetic": "1"})
        events = await server.settled(3)
        assert events[0].request_id == "mine-1"
        assert (events[2].trace_id, events[2].span_id) == ("a" * 32, "b" * 16)
        assert events[2].synthetic
        assert not events[2].slo_eligible


async def test_an_engine_that_fails_is_a_typed_error_before_and_inside_a_stream() -> None:
    async with running(EchoEngine(EchoDials(oom_at=1))) as server, httpx.AsyncClient() as http:
        failed = await http.post(server.url + CHAT, json=HELLO)
        assert (failed.status_code, failed.json()["error"]["code"]) == (503, "oom")
        assert "retry-after" in failed.headers
    async with running(EchoEngine(EchoDials(oom_at=1))) as server, httpx.AsyncClient() as http:
        streamed = await http.post(server.url + CHAT, json={**HELLO, "stream": True})
        assert streamed.status_code == 200
        last = [line for line in streamed.text.splitlines() if line.startswith("data: ")][-1]
        assert json.loads(last.removeprefix("data: "))["error"]["code"] == "oom"
        (event,) = await server.settled(1)
        assert (event.outcome, event.error_type, event.slo_eligible) == ("failure", "oom", True)


async def test_a_request_past_its_deadline_is_a_504_and_leaves_the_engine() -> None:
    async with running(slow(), deadline_s=0.2) as server, httpx.AsyncClient() as http:
        answer = await http.post(server.url + CHAT, json=LONG)
        assert (answer.status_code, answer.json()["error"]["code"]) == (504, "timeout")
        await until(lambda: server.engine.stats().running == 0)


async def test_health_is_live_but_not_ready_while_the_model_loads() -> None:
    async with running(start=False) as server, httpx.AsyncClient() as http:
        assert (await http.get(f"{server.url}/health/live")).status_code == 200
        assert (await http.get(f"{server.url}/health/ready")).status_code == 503
        assert (await http.get(f"{server.url}/v1/models")).json()["data"] == []
        assert (await http.get(f"{server.url}/ops/snapshot")).json()["state"] == "starting"
        refused = await http.post(server.url + CHAT, json=HELLO)
        assert (refused.status_code, refused.json()["error"]["code"]) == (503, "not_ready")
        await server.engine.start()
        assert (await http.get(f"{server.url}/health/ready")).json()["state"] == "ready"


async def test_a_model_that_could_not_be_loaded_still_leaves_a_snapshot() -> None:
    engine = TransformersEngine("/nowhere/at/all")
    async with running(engine, start=False) as server, httpx.AsyncClient() as http:
        with pytest.raises(ModelNotLoaded):
            await engine.start()
        await engine.stop()
        snapshot = await http.get(f"{server.url}/ops/snapshot")
        assert (snapshot.status_code, snapshot.json()["state"]) == (200, "dead")
        assert (await http.get(f"{server.url}/v1/models")).json()["data"] == []
        assert (await http.get(f"{server.url}/metrics")).status_code == 200
        assert (await http.post(server.url + CHAT, json=HELLO)).json()["error"]["code"] == "not_ready"


async def test_draining_refuses_the_new_and_finishes_the_running() -> None:
    async with running(EchoEngine(EchoDials(tokens_per_s=10.0, ttft_s=0.0))) as server, httpx.AsyncClient() as http:
        running_one = asyncio.create_task(http.post(server.url + CHAT, json=HELLO, timeout=20))
        await until(lambda: server.station.gate.running == 1)
        server.server.finish()
        await until(lambda: server.station.gate.draining)
        assert (await http.get(f"{server.url}/health/ready")).status_code == 503
        refused = await http.post(server.url + CHAT, json=HELLO)
        assert (refused.status_code, refused.json()["error"]["code"]) == (503, "draining")
        assert (await running_one).json()["choices"][0]["message"]["content"] == "one two three"


async def test_draining_past_its_deadline_tells_the_running_that_the_engine_stopped() -> None:
    async with running(slow(), drain_s=0.2) as server, httpx.AsyncClient() as http:
        late = asyncio.create_task(http.post(server.url + CHAT, json=LONG, timeout=20))
        await until(lambda: server.station.gate.running == 1)
        server.server.finish()
        answer = await late
        assert (answer.status_code, answer.json()["error"]["code"]) == (503, "engine_stopped")


async def test_the_live_feed_sends_the_backlog_and_then_what_happens() -> None:
    async with running() as server, httpx.AsyncClient() as http:
        await http.post(server.url + CHAT, json=HELLO)
        await until(lambda: len(server.kept.documents) == 1)
        seen: list[str] = []
        async with http.stream("GET", f"{server.url}/ops/live", timeout=10) as feed:
            lines = feed.aiter_lines()
            async for line in lines:
                if line.startswith("data: "):
                    seen.append(json.loads(line.removeprefix("data: "))["http.request.id"])
                    if len(seen) == 2:
                        break
                    await http.post(server.url + CHAT, json=HELLO, headers={"x-request-id": "second"})
        assert seen[1] == "second"


async def test_the_snapshot_counts_and_rates() -> None:
    async with running() as server, httpx.AsyncClient() as http:
        await http.post(server.url + CHAT, json=HELLO)
        snapshot = (await http.get(f"{server.url}/ops/snapshot")).json()
        assert snapshot["requests_by_outcome"] == {"success": 1}
        assert snapshot["output_tokens_per_s"] > 0
        assert abs(snapshot["at"] - time.time()) < 5


def event_fields(server: Running) -> list[str]:
    return sorted(server.kept.documents[0])


async def test_an_event_has_phases_tokens_and_a_hashed_user() -> None:
    async with running() as server, httpx.AsyncClient() as http:
        await http.post(server.url + CHAT, json={**HELLO, "user": "ann"})
        (event,) = await server.settled(1)
        assert event.user_hash is not None
        assert event.user_id is None
        assert "ann" not in event.user_hash
        assert event.ttft_s is not None
        assert event.queue_s is not None
        assert event.prefill_s is not None
        assert event.decode_s is not None
        assert 0 <= event.queue_s + event.prefill_s + event.decode_s <= event.duration_s + 0.05
        await until(lambda: bool(server.kept.documents))
        assert event_fields(server)[0] == "@timestamp"
