"""The requests that Open WebUI 0.12.4 sends by default are answered: a chat, its title, follow-ups and tags.

The fields are those that it sends; its texts and its 36 tools are shortened.
"""

from __future__ import annotations

import json
from typing import Any

import openai
import pytest
from openai import AsyncOpenAI

from llmops.admission.identity import hash_user
from llmops.admission.keys import KeyRing, make_key
from llmops.api.door import Door
from llmops.api.front_end import FrontEndHeaders
from llmops.settings.serving import AdmissionSettings
from tests.api.running import Running, running

KEY, TEXT = make_key("open-webui", 0.0, is_front_end=True)
_TURN = {"role": "user", "content": "Hello, what can you do?"}
CHAT: dict[str, Any] = {
    "stream": True,
    "model": "echo",
    "messages": [_TURN],
    "tools": [
        {
            "type": "function",
            "function": {
                "name": "calculate_timestamp",
                "description": "The Unix time, moved by days.",
                "parameters": {
                    "properties": {"days_ago": {"default": 0, "description": "Days back", "type": "integer"}},
                    "type": "object",
                },
            },
        },
        {
            "type": "function",
            "function": {
                "name": "get_current_timestamp",
                "description": "The Unix time.",
                "parameters": {"properties": {}, "type": "object"},
            },
        },
    ],
}
LATER: dict[str, Any] = {
    **CHAT,
    "stream_options": {"include_usage": True},
    "messages": [{"role": "system", "content": "Be brief."}, _TURN, {"role": "assistant", "content": ""}, _TURN],
    "temperature": 0.8,
    "top_p": 0.9,
    "frequency_penalty": 0.0,
    "presence_penalty": 0.0,
    "seed": 0,
    "stop": ["###"],
    "max_tokens": 128,
    "extra_body": {"top_k": 0, "min_p": 0.0, "repeat_penalty": 1.0},
}
"""A second turn, with the sliders of its chat controls shown but not moved."""
TASKS: dict[str, dict[str, Any]] = {
    "title_generation": {
        "model": "echo",
        "messages": [{"role": "user", "content": '### Task:\nJSON format: { "title": "a title" }'}],
        "stream": False,
        "max_tokens": 1000,
    },
    "follow_up_generation": {
        "model": "echo",
        "messages": [{"role": "user", "content": '### Task:\nJSON format: { "follow_ups": ["one", "two"] }'}],
        "stream": False,
    },
    "tags_generation": {
        "model": "echo",
        "messages": [{"role": "user", "content": '### Task:\nJSON format: { "tags": ["one"] }'}],
        "stream": False,
    },
}


def door() -> Door:
    """As it is without any setting."""
    default = AdmissionSettings()
    return Door(
        "auto", lambda: KeyRing([KEY]), front_end=FrontEndHeaders(default.end_user_header, default.background_header)
    )


def client_of(server: Running, user: str, task: str = "") -> AsyncOpenAI:
    """With the headers that it sends: the task's one is empty for a chat."""
    headers = {
        "X-OpenWebUI-Auth-Type": "jwt",
        "X-OpenWebUI-User-Name": "Ann%20%C3%84",
        "X-OpenWebUI-User-Id": user,
        "X-OpenWebUI-User-Email": "ann@example.test",
        "X-OpenWebUI-User-Role": "user",
        "X-OpenWebUI-Chat-Id": "eb51ec05-749b-4756-b476-94045ba012aa",
        "X-OpenWebUI-Task": task,
    }
    return AsyncOpenAI(base_url=f"{server.url}/v1", api_key=TEXT, max_retries=0, default_headers=headers)


@pytest.mark.parametrize("body", [CHAT, LATER], ids=["new", "later"])
async def test_a_chat_with_its_tools_is_answered(body: dict[str, Any]) -> None:
    async with running(door=door()) as server, client_of(server, "u1") as client:
        raw = await client.chat.completions.with_raw_response.create(**body)
        assert raw.headers["x-llmops-ignored"] == "tools"
        stream = raw.parse()
        assert isinstance(stream, openai.AsyncStream)
        text = "".join([piece.choices[0].delta.content or "" async for piece in stream if piece.choices])
        assert text == _TURN["content"]


@pytest.mark.parametrize("task", TASKS)
async def test_its_background_tasks_are_answered_after_people(task: str) -> None:
    async with running(door=door()) as server, client_of(server, "u1", task) as client:
        answer = await client.chat.completions.create(**TASKS[task])
        text = answer.choices[0].message.content or ""
        assert json.loads(text[text.index("{") :])
        (event,) = await server.settled(1)
        assert event.priority == "summary"


async def test_two_of_its_users_are_two_users_whose_buckets_are_apart() -> None:
    async with running(door=door(), rate_per_s=0.001, burst=1) as server:
        async with client_of(server, "u1") as one, client_of(server, "u2") as two:
            await one.chat.completions.create(**CHAT)
            with pytest.raises(openai.RateLimitError, match="Too many requests from this user"):
                await one.chat.completions.create(**CHAT)
            await two.chat.completions.create(**CHAT)
        events = await server.settled(3)
        assert [event.priority for event in events] == ["interactive"] * 3
        assert {event.user_hash for event in events} == {
            hash_user(b"key", "open-webui/u1"),
            hash_user(b"key", "open-webui/u2"),
        }
