"""What a hostile or broken client cannot do: fill the record, hold a place, or go unrecorded."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from typing import Any

import httpx
import pytest

from llmops.api.server import bind
from tests.api.running import running
from tests.api.test_routes import CHAT, HELLO, LONG, slow, until


@pytest.mark.parametrize("body", [{"messages": "my password is hunter2"}, {"messages": [{"hunter2": 1}]}])
async def test_what_a_user_wrote_is_not_recorded_even_when_it_is_refused(body: dict[str, Any]) -> None:
    async with running() as server, httpx.AsyncClient() as http:
        assert (await http.post(server.url + CHAT, json=body)).status_code == 400
        await until(lambda: bool(server.kept.documents))
        assert "hunter2" not in json.dumps(server.kept.documents)


async def test_no_name_makes_an_event_too_long_for_a_reader() -> None:
    async with running() as server, httpx.AsyncClient() as http:
        for field in ("model", "user"):
            refused = await http.post(server.url + CHAT, json={**HELLO, field: "é" * 300_000})
            assert refused.status_code == 400
            assert refused.json()["error"]["message"] == f"{field} is text: it must be at most 256 characters long."
        await until(lambda: len(server.kept.documents) == 2)
        assert all(len(json.dumps(document)) < 4_000 for document in server.kept.documents)


async def test_a_prompt_far_beyond_the_context_is_refused_without_being_encoded() -> None:
    async with running(max_body_bytes=4 << 20) as server, httpx.AsyncClient() as http:
        began = time.monotonic()
        refused = await http.post(server.url + CHAT, json={"messages": [{"role": "user", "content": "x" * 3_000_000}]})
        assert refused.json()["error"]["code"] == "context_length_exceeded"
        assert time.monotonic() - began < 1


async def test_a_long_prompt_is_encoded_beside_the_event_loop_and_answered() -> None:
    async with running() as server, httpx.AsyncClient() as http:
        text = "word " * 3_600
        answer = await http.post(
            server.url + CHAT, json={"messages": [{"role": "user", "content": text}], "max_tokens": 3}
        )
        assert answer.json()["usage"]["completion_tokens"] == 3


async def test_an_exhausted_patience_with_a_body_leaves_an_event() -> None:
    async with running(body_within_s=0.1) as server:
        port = int(server.url.rsplit(":", 1)[1])
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(f"POST {CHAT} HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\n{{".encode())
        assert b"408" in await asyncio.wait_for(reader.readline(), 5)
        (event,) = await server.settled(1)
        assert (event.error_type, event.status_code, event.slo_eligible) == ("body_timeout", 408, False)
        writer.close()


async def test_a_second_port_cannot_be_bound_while_the_first_waits_to_serve() -> None:
    with contextlib.closing(bind("127.0.0.1", 0)) as first, pytest.raises(OSError, match="Choose another with --port"):
        bind("127.0.0.1", first.getsockname()[1])


async def test_the_end_of_the_server_leaves_an_event_for_what_it_cut_off() -> None:
    async with running(slow(), drain_s=30) as server:
        async with httpx.AsyncClient() as http:
            cut_off = asyncio.create_task(http.post(server.url + CHAT, json={**LONG, "stream": True}, timeout=20))
            await until(lambda: server.engine.stats().running == 1)
            server.server.handle_exit(15, None)
            server.server.handle_exit(15, None)
            (event,) = await server.settled(1)
            cut_off.cancel()
        assert (event.outcome, event.error_type) == ("failure", "engine_stopped")
