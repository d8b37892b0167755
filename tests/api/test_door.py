"""Who gets in with which key, as whom, and what the headers of a request wish for."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import httpx
import pytest

from llmops.admission.identity import hash_user
from llmops.admission.keys import KeyRing, make_key
from llmops.api.door import Door
from llmops.client import RequestRefused, ServeClient, fetch_snapshot
from llmops.engine.dials import EchoDials
from llmops.engine.echo import EchoEngine
from tests.api.running import running
from tests.api.test_routes import CHAT, HELLO, LONG, slow, until

KEY, TEXT = make_key("ann", 0.0)
MINE = {"authorization": f"Bearer {TEXT}"}
ELSEWHERE = {"x-forwarded-for": "192.0.2.7"}
"""What a proxy on this machine adds: the request came from another one."""


def ring() -> KeyRing:
    return KeyRing([KEY])


async def test_without_a_key_nothing_but_health_is_told_to_who_is_elsewhere() -> None:
    async with running(door=Door("auto", ring)) as server, httpx.AsyncClient(headers=ELSEWHERE) as http:
        for method, path in (
            ("POST", CHAT),
            ("GET", "/v1/models"),
            ("GET", "/v1/models/echo"),
            ("GET", "/metrics"),
            ("GET", "/ops/snapshot"),
            ("GET", "/ops/live"),
            ("GET", "/docs"),
            ("GET", "/openapi.json"),
            ("GET", "/nothing/here"),
        ):
            refused = await http.request(method, server.url + path, json=HELLO if method == "POST" else None)
            assert refused.status_code == 401, path
            assert refused.headers["www-authenticate"] == "Bearer"
            error = refused.json()["error"]
            assert (error["type"], error["code"]) == ("invalid_request_error", "invalid_api_key")
            assert "llmops keys create" in error["message"]
        assert (await http.get(f"{server.url}/health/ready")).status_code == 200
        (event,) = await server.settled(1)
        assert (event.error_type, event.status_code, event.slo_eligible) == ("invalid_api_key", 401, False)


@pytest.mark.parametrize(
    "sent",
    ["Bearer lk-wrong", f"Bearer {TEXT}x", f"Basic {TEXT}", TEXT, "Bearer", "Bearer \xff"],
    ids=["wrong", "longer", "basic", "bare", "empty", "no text"],
)
async def test_a_wrong_key_is_none(sent: str) -> None:
    headers = [(b"x-forwarded-for", b"192.0.2.7"), (b"authorization", sent.encode("latin-1"))]
    async with running(door=Door("auto", ring)) as server, httpx.AsyncClient() as http:
        refused = await http.post(server.url + CHAT, json=HELLO, headers=headers)
        assert refused.status_code == 401
        assert TEXT not in refused.text


async def test_a_key_opens_from_everywhere_and_its_name_is_the_user_whatever_the_body_says() -> None:
    async with running(door=Door("auto", ring)) as server, httpx.AsyncClient(headers=ELSEWHERE) as http:
        for sent in (MINE, {"authorization": f"bearer  {TEXT}"}):
            answer = await http.post(server.url + CHAT, json={**HELLO, "user": "somebody else"}, headers=sent)
            assert answer.status_code == 200
        assert (await http.get(f"{server.url}/v1/models", headers=MINE)).status_code == 200
        assert (await http.get(f"{server.url}/metrics", headers=MINE)).status_code == 200
        events = await server.settled(2)
        assert {event.user_hash for event in events} == {hash_user(b"key", "ann")}


async def test_who_is_on_this_machine_needs_none_and_may_send_a_made_up_one() -> None:
    async with running(door=Door("auto", ring)) as server, httpx.AsyncClient() as http:
        made_up = {"authorization": "Bearer sk-nothing"}
        assert (await http.post(server.url + CHAT, json=HELLO)).status_code == 200
        assert (await http.post(server.url + CHAT, json={**HELLO, "user": "bo"}, headers=made_up)).status_code == 200
        events = await server.settled(2)
        assert events[1].user_hash == hash_user(b"key", "bo")


async def test_required_asks_also_this_machine_but_not_for_operations() -> None:
    async with running(door=Door("required", ring)) as server, httpx.AsyncClient() as http:
        assert (await http.post(server.url + CHAT, json=HELLO)).status_code == 401
        assert (await http.post(server.url + CHAT, json=HELLO, headers=MINE)).status_code == 200
        assert (await http.get(f"{server.url}/metrics")).status_code == 200
        assert (await http.get(f"{server.url}/ops/snapshot")).status_code == 200


async def test_off_asks_nobody() -> None:
    async with running(door=Door("off", ring)) as server, httpx.AsyncClient(headers=ELSEWHERE) as http:
        assert (await http.post(server.url + CHAT, json=HELLO)).status_code == 200
        assert (await http.get(f"{server.url}/ops/snapshot")).status_code == 200


async def test_our_own_client_sends_its_key() -> None:
    async with running(door=Door("required", ring)) as server:
        async with ServeClient(server.url, api_key=TEXT) as serve:
            assert (await serve.models())[0].id == "echo"
        async with ServeClient(server.url) as serve:
            with pytest.raises(RequestRefused, match="An API key is needed"):
                await serve.models()
        assert (await asyncio.to_thread(fetch_snapshot, server.url, 2.0, TEXT)).state == "ready"


async def test_a_key_that_is_taken_back_opens_nothing_from_then_on() -> None:
    keys = [KEY]
    async with running(door=Door("required", lambda: KeyRing(keys))) as server, httpx.AsyncClient(headers=MINE) as http:
        assert (await http.get(f"{server.url}/v1/models")).status_code == 200
        keys.clear()
        assert (await http.get(f"{server.url}/v1/models")).status_code == 401


@pytest.mark.parametrize(
    ("header", "value"),
    [
        ("x-llmops-priority", "urgent"),
        ("x-llmops-priority", ""),
        ("x-llmops-deadline-s", "0"),
        ("x-llmops-deadline-s", "-1"),
        ("x-llmops-deadline-s", "nan"),
        ("x-llmops-deadline-s", "1e3"),
        ("x-llmops-deadline-s", "soon"),
    ],
)
async def test_a_wish_that_cannot_be_understood_is_a_400_that_names_the_header(header: str, value: str) -> None:
    async with running() as server, httpx.AsyncClient() as http:
        refused = await http.post(server.url + CHAT, json=HELLO, headers={header: value})
        assert (refused.status_code, refused.json()["error"]["param"]) == (400, header)
        (event,) = await server.settled(1)
        assert event.error_type == "invalid_request"


@pytest.mark.parametrize(
    ("headers", "priority"),
    [
        ({}, "interactive"),
        ({"x-llmops-priority": "Summary"}, "summary"),
        ({"x-llmops-synthetic": "1"}, "benchmark"),
        ({"x-llmops-synthetic": "1", "x-llmops-priority": "interactive"}, "interactive"),
    ],
)
async def test_the_priority_is_the_headers_and_a_measurement_is_last_by_default(
    headers: dict[str, str], priority: str
) -> None:
    async with running() as server, httpx.AsyncClient() as http:
        await http.post(server.url + CHAT, json=HELLO, headers=headers)
        (event,) = await server.settled(1)
        assert event.priority == priority


@pytest.mark.parametrize("asked", ["0.2", "9999"])
async def test_a_deadline_of_its_own_counts_when_it_is_shorter_than_the_servers(asked: str) -> None:
    async with running(slow(), deadline_s=0.4) as server, httpx.AsyncClient() as http:
        answer = await http.post(server.url + CHAT, json=LONG, headers={"x-llmops-deadline-s": asked})
        assert (answer.status_code, answer.json()["error"]["code"]) == (504, "timeout")
        assert ("0.2 s" if asked == "0.2" else "0.4 s") in answer.json()["error"]["message"]


async def test_one_that_waits_past_its_deadline_leaves_the_queue_at_once() -> None:
    engine = EchoEngine(EchoDials(tokens_per_s=20.0, ttft_s=0.0))
    async with running(engine, max_running=1, queue_size=1) as server, httpx.AsyncClient() as http:
        first = asyncio.create_task(http.post(server.url + CHAT, json=LONG))
        await until(lambda: server.station.gate.running == 1)
        late = await http.post(server.url + CHAT, json=HELLO, headers={"x-llmops-deadline-s": "0.1"})
        assert (late.status_code, late.json()["error"]["code"]) == (504, "timeout")
        assert (server.station.gate.running, server.station.gate.waiting) == (1, 0)
        first.cancel()
        await server.settled(2)


async def test_a_body_that_took_longer_than_the_deadline_is_not_begun() -> None:
    async def slowly() -> AsyncIterator[bytes]:
        yield b'{"messages": '
        await asyncio.sleep(0.3)
        yield b'[{"role": "user", "content": "hi"}]}'

    async with running() as server, httpx.AsyncClient() as http:
        answer = await http.post(server.url + CHAT, content=slowly(), headers={"x-llmops-deadline-s": "0.1"})
        assert answer.status_code == 504
        (event,) = await server.settled(1)
        assert (event.error_type, event.output_tokens) == ("timeout", None)
