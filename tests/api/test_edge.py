"""What every response has in common: ids, HEAD, CORS, headers of streams, and comments while a request waits."""

from __future__ import annotations

import asyncio

import httpx
import pytest

from llmops.api import answer as answers
from llmops.api.metrics import Metrics
from tests.api.running import running
from tests.api.test_routes import CHAT, HELLO, LONG, slow, until

PAGE = "http://127.0.0.1:3000"


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/v1/models"),
        ("GET", "/v1/models/none"),
        ("GET", "/health/ready"),
        ("GET", "/metrics"),
        ("GET", "/ops/snapshot"),
        ("GET", "/openapi.json"),
        ("GET", "/nothing"),
        ("DELETE", CHAT),
        ("POST", CHAT),
        ("POST", "/v1/completions"),
        ("POST", "/v1/embeddings"),
    ],
)
async def test_every_response_has_the_id_that_it_was_given_or_a_new_one(method: str, path: str) -> None:
    async with running() as server, httpx.AsyncClient() as http:
        mine = await http.request(method, server.url + path, headers={"x-request-id": "mine-1"})
        assert mine.headers["x-request-id"] == "mine-1"
        fresh = await http.request(method, server.url + path, headers={"x-request-id": "has space"})
        assert len(fresh.headers["x-request-id"]) == 32
        assert fresh.headers.get_list("x-request-id") == [fresh.headers["x-request-id"]]


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/v1/models"),
        ("GET", "/health/ready"),
        ("GET", "/metrics"),
        ("GET", "/openapi.json"),
        ("GET", "/nothing"),
        ("HEAD", "/ops/live"),
        ("POST", CHAT),
        ("POST", "/v1/embeddings"),
        ("OPTIONS", CHAT),
    ],
)
async def test_no_browser_takes_a_response_for_a_page_or_a_script(method: str, path: str) -> None:
    async with running(cors_origins=[PAGE]) as server, httpx.AsyncClient() as http:
        headers = {"origin": PAGE, "access-control-request-method": "POST"}
        response = await http.request(method, server.url + path, headers=headers)
        assert response.headers.get_list("x-content-type-options") == ["nosniff"]
        assert response.headers.get_list("content-security-policy") == ["default-src 'none'; frame-ancestors 'none'"]
        assert "text/html" not in response.headers.get("content-type", "")


async def test_a_stream_has_the_headers_of_every_response() -> None:
    async with running() as server, httpx.AsyncClient() as http:
        answer = await http.post(server.url + CHAT, json={**HELLO, "stream": True})
        assert answer.headers["content-type"].startswith("text/event-stream")
        assert answer.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize("path", ["/docs", "/redoc", "/docs/oauth2-redirect"])
async def test_no_page_is_served_that_would_load_scripts_from_elsewhere(path: str) -> None:
    async with running() as server, httpx.AsyncClient() as http:
        answer = await http.get(server.url + path)
        assert answer.status_code == 404
        assert "/openapi.json lists what is" in answer.json()["error"]["message"]


@pytest.mark.parametrize("path", ["/health", "/v1/models", "/metrics", "/openapi.json", "/ops/live", "/nothing"])
async def test_head_is_get_without_its_body(path: str) -> None:
    async with running() as server, httpx.AsyncClient() as http:
        head = await http.head(server.url + path)
        assert head.content == b""
        assert head.status_code == (404 if path == "/nothing" else 200)
        if path in ("/health", "/openapi.json"):
            got = await http.get(server.url + path)
            assert head.headers["content-length"] == got.headers["content-length"]


async def test_what_nobody_expected_is_an_error_like_any_other(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: Metrics) -> bytes:
        raise LookupError("a secret of ours")

    monkeypatch.setattr(Metrics, "expose", fail)
    async with running() as server, httpx.AsyncClient() as http:
        answer = await http.get(f"{server.url}/metrics", headers={"x-request-id": "mine-1"})
        assert (answer.status_code, answer.headers["x-request-id"]) == (500, "mine-1")
        assert answer.json()["error"]["code"] == "internal"
        assert "secret" not in answer.text


async def test_a_wrong_method_says_which_one_is_right() -> None:
    async with running() as server, httpx.AsyncClient() as http:
        wrong = await http.get(server.url + CHAT)
        assert (wrong.status_code, wrong.headers["allow"]) == (405, "POST")
        assert wrong.json()["error"]["code"] == "method_not_allowed"


async def test_no_page_may_call_unless_its_origin_is_named() -> None:
    asked = {"origin": PAGE, "access-control-request-method": "POST", "access-control-request-headers": "authorization"}
    async with running() as server, httpx.AsyncClient() as http:
        closed = await http.options(server.url + CHAT, headers=asked)
        assert "access-control-allow-origin" not in closed.headers
        answer = await http.post(server.url + CHAT, json=HELLO, headers={"origin": PAGE})
        assert "access-control-allow-origin" not in answer.headers
    async with running(cors_origins=[PAGE]) as server, httpx.AsyncClient() as http:
        open_ = await http.options(server.url + CHAT, headers=asked)
        assert open_.status_code == 200
        assert open_.headers["access-control-allow-origin"] == PAGE
        assert "authorization" in open_.headers["access-control-allow-headers"]
        assert "x-request-id" in open_.headers
        for path, body in ((CHAT, HELLO), (CHAT, {}), ("/v1/completions", {"prompt": "a", "stream": True})):
            answer = await http.post(server.url + path, json=body, headers={"origin": PAGE})
            assert answer.headers["access-control-allow-origin"] == PAGE
            assert "x-request-id" in answer.headers["access-control-expose-headers"]
        other = await http.options(server.url + CHAT, headers={**asked, "origin": "https://evil.example"})
        assert other.status_code == 400
        assert "access-control-allow-origin" not in other.headers


async def test_a_client_that_leaves_is_noticed_behind_cors_too() -> None:
    async with running(slow(), cors_origins=["*"]) as server:
        async with httpx.AsyncClient(headers={"origin": PAGE}) as http:
            leaving = asyncio.create_task(http.post(server.url + CHAT, json={**LONG, "stream": True}))
            await until(lambda: server.engine.stats().running == 1)
            leaving.cancel()
        await until(lambda: server.engine.stats().running == 0)


@pytest.mark.parametrize(("path", "body"), [(CHAT, HELLO), ("/v1/completions", {"prompt": "a"})])
async def test_a_stream_is_not_cached_buffered_or_cut_off_while_it_waits(
    path: str, body: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(answers, "KEEPALIVE_S", 0.05)
    async with running(slow(), max_running=1) as server, httpx.AsyncClient() as http:
        first = asyncio.create_task(http.post(server.url + CHAT, json=LONG))
        await until(lambda: server.station.gate.running == 1)
        waiting = asyncio.create_task(http.post(server.url + path, json={**body, "stream": True}, timeout=20))
        await until(lambda: server.station.gate.waiting == 1)
        await asyncio.sleep(0.2)
        first.cancel()
        answer = await waiting
        assert answer.headers["content-type"] == "text/event-stream; charset=utf-8"
        assert answer.headers["cache-control"] == "no-cache"
        assert answer.headers["x-accel-buffering"] == "no"
        assert answer.text.count(": waiting\n\n") >= 2
        assert answer.text.endswith("data: [DONE]\n\n")
