"""A request that offers tools is answered without a call and the answer says so; only a forced call is refused."""

from __future__ import annotations

import logging
from typing import Any

import httpx
import openai
import pytest

from llmops.api import tools
from tests.api.running import running
from tests.api.test_openai_client import HELLO, client_of
from tests.api.test_routes import CHAT

TOOL: Any = {"type": "function", "function": {"name": "get_time", "parameters": {"type": "object", "properties": {}}}}
NAMED = {"type": "function", "function": {"name": "get_time"}}
ALLOWED = {"type": "allowed_tools", "allowed_tools": {"mode": "auto", "tools": [NAMED]}}
IGNORED = "x-llmops-ignored"


@pytest.mark.parametrize("choice", [None, "auto", ALLOWED], ids=["absent", "auto", "allowed"])
@pytest.mark.parametrize("stream", [False, True])
async def test_offered_tools_are_ignored_and_the_answer_names_them(choice: Any, stream: bool) -> None:
    asked: dict[str, Any] = {} if choice is None else {"tool_choice": choice}
    async with running() as server, client_of(server) as client:
        raw = await client.chat.completions.with_raw_response.create(
            model="echo", messages=HELLO, tools=[TOOL], parallel_tool_calls=True, stream=stream, **asked
        )
        assert raw.headers[IGNORED] == "tools"
        answer = raw.parse()
        if isinstance(answer, openai.AsyncStream):
            text = "".join([chunk.choices[0].delta.content or "" async for chunk in answer])
        else:
            text = answer.choices[0].message.content or ""
        assert text == "one two three four five six"


@pytest.mark.parametrize(
    ("fields", "ignored"),
    [
        ({"functions": [{"name": "f"}], "function_call": "auto"}, "functions"),
        ({"functions": [{"name": "f"}], "function_call": "none"}, None),
        ({"tools": [TOOL], "tool_choice": "none"}, None),
        ({"tools": []}, None),
        ({"tools": None, "tool_choice": None, "parallel_tool_calls": False}, None),
        ({"tool_choice": "auto"}, None),
    ],
)
async def test_nothing_is_named_where_nothing_was_lost(fields: dict[str, Any], ignored: str | None) -> None:
    async with running() as server, httpx.AsyncClient() as http:
        answer = await http.post(server.url + CHAT, json={"messages": HELLO, **fields})
        assert (answer.status_code, answer.headers.get(IGNORED)) == (200, ignored)


@pytest.mark.parametrize(
    "fields",
    [
        {"tool_choice": "required"},
        {"tool_choice": "any"},
        {"tool_choice": NAMED},
        {"tool_choice": {**ALLOWED, "allowed_tools": {"mode": "required", "tools": [NAMED]}}},
        {"tool_choice": {"type": "allowed_tools"}},
        {"function_call": {"name": "get_time"}},
    ],
)
async def test_a_forced_call_is_refused_with_one_sentence(fields: dict[str, Any]) -> None:
    (name,) = fields
    async with running() as server, httpx.AsyncClient() as http:
        refused = await http.post(server.url + CHAT, json={"messages": HELLO, "tools": [TOOL], **fields})
        error = refused.json()["error"]
        assert (refused.status_code, error["param"]) == (400, name)
        assert error["message"] == (
            f'{name} requires a tool call, which is not supported here; send "auto" or "none", or leave it out.'
        )


@pytest.mark.parametrize("choice", ["sometimes", 1, True, ["auto"]])
async def test_what_is_no_choice_is_refused_by_name(choice: Any) -> None:
    async with running() as server, httpx.AsyncClient() as http:
        refused = await http.post(server.url + CHAT, json={"messages": HELLO, "tool_choice": choice})
        assert refused.json()["error"]["message"] == 'tool_choice must be "auto" or "none".'


async def test_the_log_says_once_that_tools_are_ignored(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tools, "_logged", set())
    async with running() as server, httpx.AsyncClient() as http:
        for _ in range(3):
            await http.post(server.url + CHAT, json={"messages": HELLO, "tools": [TOOL]})
    said = [each.getMessage() for each in caplog.records if each.levelno == logging.WARNING]
    assert said == ["the field tools of a request is ignored: answers call no tools here; this is logged once"]


OFF: list[dict[str, Any]] = [
    {"frequency_penalty": 0},
    {"presence_penalty": 0.0},
    {"repetition_penalty": 1},
    {"repeat_penalty": 1.0},
    {"min_p": 0.0, "logit_bias": {}},
    {"mirostat": 0, "mirostat_eta": 0.1, "mirostat_tau": 5.0, "repeat_last_n": 64, "tfs_z": 1},
    {"frequency_penalty": None, "presence_penalty": None, "top_k": 0},
]


@pytest.mark.parametrize("fields", OFF)
async def test_a_slider_that_stands_at_off_is_accepted(fields: dict[str, Any]) -> None:
    async with running() as server, httpx.AsyncClient() as http:
        assert (await http.post(server.url + CHAT, json={"messages": HELLO, **fields})).status_code == 200


@pytest.mark.parametrize(
    "fields", [{"frequency_penalty": 0.5}, {"presence_penalty": -1}, {"repetition_penalty": 1.1}, {"repeat_penalty": 2}]
)
async def test_a_slider_that_would_change_the_answer_is_refused_by_name(fields: dict[str, float]) -> None:
    (name,) = fields
    async with running() as server, httpx.AsyncClient() as http:
        refused = await http.post(server.url + CHAT, json={"messages": HELLO, **fields})
        assert (refused.status_code, refused.json()["error"]["param"]) == (400, name)
