"""curl, as everybody tries a server first: JSON, a stream, an error, and a sentence for a missing header."""

from __future__ import annotations

import asyncio
import json
import shutil

import pytest

from tests.api.running import running
from tests.api.test_routes import CHAT

if shutil.which("curl") is None:
    pytest.skip("curl is not installed: nothing below was tried", allow_module_level=True)

BODY = '{"messages": [{"role": "user", "content": "one two"}], "stream": %s}'
JSON = ("-H", "Content-Type: application/json")


async def curl(*arguments: str) -> str:
    process = await asyncio.create_subprocess_exec(
        "curl", "-sS", "--max-time", "20", "--noproxy", "*", *arguments, stdout=asyncio.subprocess.PIPE
    )
    said, _ = await process.communicate()
    assert process.returncode == 0
    return said.decode()


async def test_curl_gets_an_answer_and_its_headers() -> None:
    async with running() as server:
        said = await curl("-i", server.url + CHAT, *JSON, "-d", BODY % "false")
        head, _, body = said.partition("\r\n\r\n")
        assert head.startswith("HTTP/1.1 200")
        assert "x-request-id: " in head
        assert json.loads(body)["choices"][0]["message"]["content"] == "one two"


async def test_curl_gets_a_stream_as_it_is_written() -> None:
    async with running() as server:
        said = await curl("-N", "-i", server.url + CHAT, *JSON, "-d", BODY % "true")
        head, _, body = said.partition("\r\n\r\n")
        assert "text/event-stream" in head
        events = [event.removeprefix("data: ") for event in body.strip().split("\n\n")]
        assert events[-1] == "[DONE]"
        deltas = [json.loads(event)["choices"][0]["delta"] for event in events[:-1]]
        assert deltas[0] == {"role": "assistant", "content": ""}
        assert "".join(delta.get("content", "") for delta in deltas) == "one two"


async def test_curl_continues_bare_text() -> None:
    async with running() as server:
        said = await curl(server.url + "/v1/completions", *JSON, "-d", '{"prompt": "one two"}')
        assert json.loads(said)["choices"][0]["text"] == "one two"


async def test_curl_without_the_content_type_is_told_the_header_to_add() -> None:
    async with running() as server:
        said = json.loads(await curl(server.url + CHAT, "-d", BODY % "false"))
        assert "Content-Type: application/json" in said["error"]["message"]


async def test_curls_health_check_fails_by_its_exit_code_while_the_model_loads() -> None:
    async with running(start=False) as server:
        failing = await asyncio.create_subprocess_exec(
            "curl", "-fsS", "--noproxy", "*", f"{server.url}/health", stderr=asyncio.subprocess.DEVNULL
        )
        assert await failing.wait() == 22
        await server.engine.start()
        assert json.loads(await curl(f"{server.url}/health"))["state"] == "ready"
