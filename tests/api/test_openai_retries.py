"""How the official client takes our refusals: which error each one is, and that it comes back when told to."""

from __future__ import annotations

import asyncio
from typing import Any

import openai
import pytest
from openai import AsyncOpenAI, OpenAI

from llmops.engine.dials import EchoDials
from llmops.engine.echo import EchoEngine
from llmops.engine.embedding import EchoEmbedding
from tests.api.running import running
from tests.api.test_openai_client import HELLO, client_of
from tests.api.test_routes import slow, until


async def test_the_blocking_client_does_all_that_the_other_one_does() -> None:
    def use(url: str) -> list[str]:
        with OpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0) as client:
            whole = client.chat.completions.create(model="echo", messages=HELLO).choices[0].message.content
            stream = client.completions.create(model="echo", prompt="one two", stream=True)
            streamed = "".join(chunk.choices[0].text for chunk in stream)
            vector = client.embeddings.create(model="echo-embedding", input="a").data[0].embedding
            return [str(whole), streamed, str(len(vector)), *(model.id for model in client.models.list())]

    async with running(embedding=EchoEmbedding()) as server:
        said = await asyncio.to_thread(use, server.url)
        assert said == ["one two three four five six", "one two", "8", "echo", "echo-embedding"]


async def test_a_rate_limit_is_waited_out_for_as_long_as_we_said() -> None:
    async with running(burst=1, rate_per_s=1.0) as server:
        async with AsyncOpenAI(base_url=f"{server.url}/v1", api_key="none", max_retries=2) as client:
            for _ in range(2):
                await client.chat.completions.create(model="echo", messages=HELLO, user="ann")
        events = await server.settled(3)
        assert [event.status_code for event in events] == [200, 429, 200]
        assert events[2].start is not None
        assert events[1].end is not None
        assert events[2].start - events[1].end >= 0.9


async def test_a_full_queue_is_tried_again_until_there_is_room() -> None:
    async with running(slow(), max_running=1, queue_size=0) as server:
        async with AsyncOpenAI(base_url=f"{server.url}/v1", api_key="none", max_retries=5) as client:
            first = asyncio.create_task(client.completions.create(model="echo", prompt="a b c d e f g h i j k l"))
            await until(lambda: server.station.gate.running == 1)
            answer = await client.completions.create(model="echo", prompt="again", max_tokens=1)
            assert answer.choices[0].text == "again"
            await first
        events = await server.settled(3)
        assert "queue_full" in {event.error_type for event in events}


async def test_a_client_error_is_never_tried_again() -> None:
    async with running() as server:
        async with AsyncOpenAI(base_url=f"{server.url}/v1", api_key="none", max_retries=3) as client:
            with pytest.raises(openai.BadRequestError):
                await client.completions.create(model="echo", prompt="a", temperature=9.0)
        assert len(await server.settled(1)) == 1


@pytest.mark.parametrize(
    ("dials", "error", "code"),
    [
        ({"engine": EchoEngine(EchoDials(oom_at=1))}, openai.InternalServerError, "oom"),
        ({"engine": slow(), "deadline_s": 0.1}, openai.InternalServerError, "timeout"),
        ({"start": False}, openai.InternalServerError, "not_ready"),
        ({"max_body_bytes": 10}, openai.APIStatusError, "request_too_large"),
    ],
)
async def test_each_failure_is_the_error_that_a_program_expects(
    dials: dict[str, Any], error: type[openai.APIStatusError], code: str
) -> None:
    async with running(**dials) as server, client_of(server) as client:
        with pytest.raises(error) as caught:
            await client.chat.completions.create(model="echo", messages=HELLO, max_tokens=100)
        assert caught.value.code == code
        assert caught.value.request_id


async def test_a_failure_inside_a_stream_is_raised_with_its_sentence() -> None:
    async with running(EchoEngine(EchoDials(oom_at=1))) as server, client_of(server) as client:
        stream = await client.completions.create(model="echo", prompt="a", stream=True)
        with pytest.raises(openai.APIError, match="ran out of memory"):
            async for _ in stream:
                pass


async def test_times_are_asked_for_as_an_extra_of_the_body() -> None:
    async with running() as server, client_of(server) as client:
        answer = await client.chat.completions.create(
            model="echo", messages=HELLO, extra_body={"include_metrics": True}
        )
        assert answer.model_extra is not None
        assert answer.model_extra["metrics"]["tokens_per_second"] > 0
        assert answer.usage is not None
        assert answer.usage.prompt_tokens_details is not None
        assert answer.usage.prompt_tokens_details.cached_tokens == 0
