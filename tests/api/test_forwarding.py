"""Before an upstream a request is forwarded as it came; what no answer here could show is refused by name."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from tests.api.running import running
from tests.api.test_routes import CHAT, HELLO
from tests.engine.scripted_upstream import replied, said, upstream

FORWARDED: dict[str, Any] = {
    "chat_template_kwargs": {"enable_thinking": True},
    "structured_outputs": {"choice": ["a"]},
    "guided_json": {"type": "object"},
    "grammar": "root ::= x",
    "response_format": {"type": "json_object"},
    "logit_bias": {"5": 1},
    "min_p": 0.1,
    "frequency_penalty": 0.5,
    "presence_penalty": 0.5,
    "repetition_penalty": 1.1,
    "repeat_penalty": 1.1,
    "typical_p": 0.9,
    "mirostat": 2,
    "stop_token_ids": [1, 2],
    "min_tokens": 3,
    "ignore_eos": True,
    "top_k": -1,
    "continue_final_message": True,
    "reasoning_effort": "high",
    "metadata": {"a": "b"},
    "user": "someone",
    "of_its_own": [1, {"deep": None}],
}


async def test_every_field_reaches_the_upstream_as_it_came_with_the_headers_of_its_trace() -> None:
    trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    async with (
        upstream(said("hi")) as (engine, told),
        running(engine, forwards=True) as server,
        httpx.AsyncClient() as http,
    ):
        headers = {"traceparent": trace, "x-request-id": "mine"}
        answer = await http.post(server.url + CHAT, json={**HELLO, **FORWARDED}, headers=headers)
    assert answer.status_code == 200, answer.text
    (asked,) = told.asked
    body = asked.json()
    assert {name: body.get(name) for name in FORWARDED} == FORWARDED
    assert (asked.headers["traceparent"], asked.headers["x-request-id"]) == (trace, "mine")
    assert "x-llmops-ignored" not in answer.headers


async def test_messages_reach_the_upstream_with_all_their_parts() -> None:
    call = {"id": "1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    messages = [
        {"role": "developer", "content": "Be brief.", "name": "ops"},
        {
            "role": "user",
            "content": [{"type": "image_url", "image_url": {"url": "data:,"}}, {"type": "text", "text": "?"}],
        },
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "1", "content": "sunny"},
    ]
    async with (
        upstream(said("hi")) as (engine, told),
        running(engine, forwards=True) as server,
        httpx.AsyncClient() as http,
    ):
        answer = await http.post(server.url + CHAT, json={"messages": messages})
    assert answer.status_code == 200, answer.text
    assert told.asked[0].json()["messages"] == messages


async def test_a_length_is_sent_only_where_one_was_named() -> None:
    async with (
        upstream(said("hi")) as (engine, told),
        running(engine, forwards=True) as server,
        httpx.AsyncClient() as http,
    ):
        for asked in ({}, {"max_tokens": 7}, {"max_completion_tokens": 8}):
            await http.post(server.url + CHAT, json={**HELLO, **asked})
    assert [asked.json().get("max_tokens") for asked in told.asked] == [None, 7, 8]


@pytest.mark.parametrize(
    ("name", "value"), [("n", 2), ("logprobs", True), ("prompt_logprobs", 1), ("audio", {"voice": "x"})]
)
async def test_what_no_answer_here_could_show_is_refused_by_name(name: str, value: object) -> None:
    async with (
        upstream(said("hi")) as (engine, told),
        running(engine, forwards=True) as server,
        httpx.AsyncClient() as http,
    ):
        answer = await http.post(server.url + CHAT, json={**HELLO, name: value})
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, name)
    assert not told.asked


async def test_a_field_that_the_upstream_refuses_is_named_in_the_answer() -> None:
    refusal = '{"error": {"message": "guided_json is not supported", "param": "guided_json"}}'
    async with (
        upstream(replied(400, refusal)) as (engine, _),
        running(engine, forwards=True) as server,
        httpx.AsyncClient() as http,
    ):
        answer = await http.post(server.url + CHAT, json={**HELLO, "guided_json": {"type": "object"}})
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "guided_json")


async def test_a_number_that_json_does_not_have_is_not_forwarded() -> None:
    async with (
        upstream(said("hi")) as (engine, told),
        running(engine, forwards=True) as server,
        httpx.AsyncClient() as http,
    ):
        content = b'{"messages": [{"role": "user", "content": "a"}], "own": NaN}'
        answer = await http.post(server.url + CHAT, content=content, headers={"content-type": "application/json"})
    assert (answer.status_code, "not finite" in answer.text) == (400, True)
    assert not told.asked
