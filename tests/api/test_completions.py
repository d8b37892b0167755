"""`/v1/completions`: bare text continued, through the official client and as it stands on the wire."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import httpx
import openai
import pytest

from tests.api.running import running
from tests.api.test_openai_client import client_of
from tests.api.test_routes import slow, until

COMPLETIONS = "/v1/completions"


async def test_a_completion_continues_bare_text_and_says_what_it_used() -> None:
    async with running() as server, client_of(server) as client:
        answer = await client.completions.create(model="echo", prompt="one two three")
        assert (answer.object, answer.choices[0].text) == ("text_completion", "one two three")
        assert answer.id.startswith("cmpl-")
        assert answer.choices[0].finish_reason == "stop"
        assert answer.system_fingerprint == "1"
        assert answer.usage is not None
        assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens
        (event,) = await server.settled(1)
        assert (event.operation, event.path, event.outcome) == ("text_completion", COMPLETIONS, "success")


async def test_a_stream_is_text_completion_objects_and_ends_with_usage_when_asked() -> None:
    async with running() as server, client_of(server) as client:
        stream = await client.completions.create(
            model="echo", prompt=["one two"], stream=True, stream_options={"include_usage": True}
        )
        chunks = [chunk async for chunk in stream]
        assert "".join(chunk.choices[0].text for chunk in chunks if chunk.choices) == "one two"
        assert {chunk.object for chunk in chunks} == {"text_completion"}
        assert [chunk.choices[0].finish_reason for chunk in chunks if chunk.choices][-1] == "stop"
        assert chunks[-1].choices == []
        assert chunks[-1].usage is not None


async def test_sixteen_tokens_are_the_default_and_max_tokens_and_stop_are_honoured() -> None:
    async with running() as server, client_of(server) as client:
        text = " ".join("abcdefghijklmnop")
        answer = await client.completions.create(model="echo", prompt=text)
        assert answer.usage is not None
        assert (answer.usage.completion_tokens, answer.choices[0].finish_reason) == (16, "length")
        short = await client.completions.create(model="echo", prompt=text, max_tokens=3, seed=1)
        assert short.choices[0].text == "a b"
        stopped = await client.completions.create(model="echo", prompt=text, stop=["c"])
        assert stopped.choices[0].text == "a b "


@pytest.mark.parametrize(
    ("change", "sentence", "param"),
    [
        ({"prompt": [1, 2, 3]}, "prompt holds something else than text, perhaps token ids: send text.", "prompt"),
        ({"prompt": [[1], [2]]}, "prompt holds something else than text, perhaps token ids: send text.", "prompt"),
        ({"prompt": ["a", "b"]}, "prompt is a list of 2: send each text as a request of its own.", "prompt"),
        ({"prompt": ""}, "prompt is empty or holds an empty text: give some text.", "prompt"),
        ({"prompt": [""]}, "prompt is empty or holds an empty text: give some text.", "prompt"),
        ({"prompt": 5}, "prompt is 5: send one text.", "prompt"),
        ({"n": 2}, "n is not supported here; leave it out.", "n"),
        ({"best_of": 2}, "best_of is not supported here; leave it out.", "best_of"),
        ({"suffix": "z"}, "suffix is not supported here; leave it out.", "suffix"),
        ({"logprobs": 2}, "logprobs is not supported here; leave it out.", "logprobs"),
        ({"echo": True}, "echo is not supported here; leave it out.", "echo"),
    ],
)
async def test_what_cannot_be_honoured_is_refused_by_name(change: dict[str, Any], sentence: str, param: str) -> None:
    async with running() as server, client_of(server) as client:
        with pytest.raises(openai.BadRequestError) as caught:
            await client.completions.create(**{"model": "echo", "prompt": "a", **change})
        assert caught.value.body == {
            "message": sentence,
            "type": "invalid_request_error",
            "param": param,
            "code": "invalid_value",
        }


async def test_neutral_values_of_what_is_refused_are_no_reason_to_refuse() -> None:
    neutral = {"n": 1, "best_of": 1, "suffix": "", "echo": False, "logprobs": None, "frequency_penalty": 0.0}
    async with running() as server, httpx.AsyncClient() as http:
        answer = await http.post(server.url + COMPLETIONS, json={"prompt": "a", "logit_bias": {}, "x": 1, **neutral})
        assert answer.status_code == 200


@pytest.mark.parametrize("stream", [True, False])
async def test_a_client_that_leaves_a_completion_stops_its_generation(stream: bool) -> None:
    async with running(slow()) as server:
        async with httpx.AsyncClient() as http:
            body = {"prompt": "word " * 2000, "max_tokens": 2000, "stream": stream}
            leaving = asyncio.create_task(http.post(server.url + COMPLETIONS, json=body))
            await until(lambda: server.engine.stats().running == 1)
            leaving.cancel()
        await until(lambda: server.engine.stats().running == 0 and server.station.gate.running == 0)
        (event,) = await server.settled(1)
        assert (event.outcome, event.status_code) == ("unknown", 499)


@pytest.mark.parametrize("body", [{"prompt": "one two"}, {"messages": [{"role": "user", "content": "one two"}]}])
async def test_an_answers_own_times_are_there_when_asked_for(body: dict[str, Any]) -> None:
    path = COMPLETIONS if "prompt" in body else "/v1/chat/completions"
    async with running() as server, httpx.AsyncClient() as http:
        plain = (await http.post(server.url + path, json=body)).json()
        assert "metrics" not in plain
        assert plain["usage"]["prompt_tokens_details"] == {"cached_tokens": 0}
        assert (plain["system_fingerprint"], plain["service_tier"]) == ("1", None)
        timed = (await http.post(server.url + path, json={**body, "include_metrics": True})).json()["metrics"]
        assert set(timed) == {
            "time_to_first_token_ms",
            "generation_time_ms",
            "queue_time_ms",
            "mean_itl_ms",
            "tokens_per_second",
        }
        assert 10 <= timed["time_to_first_token_ms"] < 1000  # the echo engine's first token takes 10 ms
        assert 0 < timed["generation_time_ms"] < 1000
        assert 0 < timed["tokens_per_second"] < 300  # three tokens in 10 ms or more
        assert timed["queue_time_ms"] >= 0
        streamed = await http.post(server.url + path, json={**body, "include_metrics": True, "stream": True})
        last = json.loads(streamed.text.strip().split("\n\n")[-2].removeprefix("data: "))
        assert last["choices"] == []
        assert "usage" not in last
        assert set(last["metrics"]) == set(timed)
