"""The official client, pointed at us, works and fails as it does elsewhere."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator

import openai
import pytest
from openai import AsyncOpenAI
from openai.types.chat import ChatCompletionMessageParam

from tests.api.running import Running, running

HELLO: list[ChatCompletionMessageParam] = [{"role": "user", "content": "one two three four five six"}]


@contextlib.asynccontextmanager
async def client_of(server: Running) -> AsyncIterator[AsyncOpenAI]:
    async with AsyncOpenAI(base_url=f"{server.url}/v1", api_key="none", max_retries=0) as client:
        yield client


async def test_it_lists_the_model_and_finds_it_by_name() -> None:
    async with running() as server, client_of(server) as client:
        models = await client.models.list()
        assert [model.id for model in models.data] == ["echo"]
        assert (await client.models.retrieve("echo")).owned_by == "llmops"
        with pytest.raises(openai.NotFoundError, match="gpt-9"):
            await client.models.retrieve("gpt-9")


async def test_a_chat_answers_with_text_usage_and_finish_reason() -> None:
    async with running() as server, client_of(server) as client:
        answer = await client.chat.completions.create(model="echo", messages=HELLO)
        assert answer.choices[0].message.content == "one two three four five six"
        assert answer.choices[0].finish_reason == "stop"
        assert answer.usage is not None
        assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens
        assert answer.usage.completion_tokens > 0


async def test_a_stream_says_the_same_and_ends_with_usage_when_asked() -> None:
    async with running() as server, client_of(server) as client:
        stream = await client.chat.completions.create(
            model="echo", messages=HELLO, stream=True, stream_options={"include_usage": True}
        )
        chunks = [chunk async for chunk in stream]
        assert chunks[0].choices[0].delta.role == "assistant"
        text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
        assert text == "one two three four five six"
        assert [chunk.choices[0].finish_reason for chunk in chunks if chunk.choices][-1] == "stop"
        assert chunks[-1].choices == []
        assert chunks[-1].usage is not None
        assert len({chunk.id for chunk in chunks}) == 1


async def test_a_stream_has_no_usage_chunk_unless_asked() -> None:
    async with running() as server, client_of(server) as client:
        stream = await client.chat.completions.create(model="echo", messages=HELLO, stream=True)
        assert all(chunk.choices and chunk.usage is None for chunk in [chunk async for chunk in stream])


async def test_max_tokens_and_stop_and_temperature_and_seed_are_honoured() -> None:
    async with running() as server, client_of(server) as client:
        short = await client.chat.completions.create(
            model="echo", messages=HELLO, max_tokens=2, temperature=0.0, seed=7
        )
        assert short.choices[0].finish_reason == "length"
        assert short.usage is not None
        assert short.usage.completion_tokens == 2
        stopped = await client.chat.completions.create(model="echo", messages=HELLO, stop=["four"])
        assert stopped.choices[0].message.content == "one two three "
        assert stopped.choices[0].finish_reason == "stop"


async def test_parts_of_text_are_one_text_and_developer_is_system() -> None:
    async with running() as server, client_of(server) as client:
        answer = await client.chat.completions.create(
            model="echo",
            messages=[
                {"role": "developer", "content": "be kind"},
                {"role": "user", "content": [{"type": "text", "text": "a "}, {"type": "text", "text": "b"}]},
            ],
        )
        assert answer.choices[0].message.content == "a b"


@pytest.mark.parametrize(
    ("change", "error", "named", "param"),
    [
        ({"model": "gpt-9"}, openai.NotFoundError, "gpt-9", "model"),
        ({"messages": []}, openai.BadRequestError, "messages", "messages"),
        ({"messages": [{"role": "user"}]}, openai.BadRequestError, "content", "messages.0.content"),
        ({"messages": [{"role": "robot", "content": "x"}]}, openai.BadRequestError, "role", "messages.0.role"),
        ({"max_tokens": -1}, openai.BadRequestError, "max_tokens is -1", "max_tokens"),
        ({"max_tokens": 10**9}, openai.BadRequestError, "lower max_tokens to", "max_tokens"),
        ({"temperature": 3.0}, openai.BadRequestError, "temperature", "temperature"),
        ({"top_p": 0}, openai.BadRequestError, "top_p", "top_p"),
        ({"stop": ["a", "b", "c", "d", "e"]}, openai.BadRequestError, "stop", "stop"),
        ({"n": 2}, openai.BadRequestError, "n is not supported", "n"),
        ({"logprobs": True}, openai.BadRequestError, "logprobs is not supported", "logprobs"),
        ({"frequency_penalty": 1.0}, openai.BadRequestError, "frequency_penalty", "frequency_penalty"),
        (
            {"messages": [{"role": "user", "content": "word " * 20_000}]},
            openai.BadRequestError,
            "shorten messages",
            "messages",
        ),
    ],
)
async def test_bad_input_is_the_clients_own_error_with_a_sentence_that_names_the_field(
    change: dict[str, object], error: type[openai.APIStatusError], named: str, param: str
) -> None:
    body: dict[str, object] = {"model": "echo", "messages": HELLO, **change}
    async with running() as server, client_of(server) as client:
        with pytest.raises(error) as caught:
            await client.chat.completions.create(**body)  # type: ignore[call-overload]
        assert named in caught.value.message
        assert caught.value.param == param
        events = await server.settled(1)
        assert events[0].outcome == "failure"
        assert not events[0].slo_eligible


async def test_an_empty_bucket_is_a_rate_limit_error_with_retry_after() -> None:
    async with running(burst=1, rate_per_s=0.1) as server, client_of(server) as client:
        await client.chat.completions.create(model="echo", messages=HELLO, user="ann")
        with pytest.raises(openai.RateLimitError) as caught:
            await client.chat.completions.create(model="echo", messages=HELLO, user="ann")
        assert caught.value.code == "rate_limit_exceeded"
        assert 1 <= int(caught.value.response.headers["retry-after"]) <= 10
        await client.chat.completions.create(model="echo", messages=HELLO, user="bo")
