"""`/v1/embeddings` through the official client, and what it refuses."""

from __future__ import annotations

import asyncio
import base64
import struct
from collections.abc import Sequence
from typing import Any

import httpx
import openai
import pytest

from llmops.engine.embedding import EchoEmbedding, Embedded
from tests.api.running import running
from tests.api.test_openai_client import client_of
from tests.api.test_routes import until

EMBEDDINGS = "/v1/embeddings"


async def test_the_official_client_gets_its_vectors_and_the_model_is_listed() -> None:
    async with running(embedding=EchoEmbedding()) as server, client_of(server) as client:
        assert [model.id async for model in client.models.list()] == ["echo", "echo-embedding"]
        answer = await client.embeddings.create(model="echo-embedding", input=["one two", "three", "one two"])
        assert [item.index for item in answer.data] == [0, 1, 2]
        assert answer.data[0].embedding == answer.data[2].embedding != answer.data[1].embedding
        assert len(answer.data[0].embedding) == 8
        assert (answer.usage.prompt_tokens, answer.usage.total_tokens) == (5, 5)
        (event,) = await server.settled(1)
        assert (event.operation, event.path, event.outcome) == ("embeddings", EMBEDDINGS, "success")
        assert (event.input_tokens, event.response_model) == (5, "echo-embedding")
        assert not event.slo_eligible  # thousands of quick vectors would hide slow answers


async def test_base64_is_the_same_numbers_as_little_endian_float32() -> None:
    async with running(embedding=EchoEmbedding()) as server, httpx.AsyncClient() as http:
        plain = (await http.post(server.url + EMBEDDINGS, json={"input": "a"})).json()
        packed = await http.post(server.url + EMBEDDINGS, json={"input": "a", "encoding_format": "base64"})
        raw = base64.b64decode(packed.json()["data"][0]["embedding"])
        assert list(struct.unpack("<8f", raw)) == plain["data"][0]["embedding"]


async def test_without_an_embedding_model_the_dial_is_named() -> None:
    async with running() as server, client_of(server) as client:
        with pytest.raises(openai.NotFoundError) as caught:
            await client.embeddings.create(model="x", input="a")
        assert caught.value.code == "model_not_found"
        assert "engine.embedding_model" in caught.value.message


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"input": [1, 2]}, "check_embedding_ctx_length=False"),
        ({"input": [[1, 2]]}, "perhaps token ids: send text"),
        ({"input": ""}, "input is empty or holds an empty text: give some text."),
        ({"input": ["a", ""]}, "input is empty or holds an empty text: give some text."),
        ({"input": []}, "input is empty or holds an empty text: give some text."),
        ({"input": 7}, "input is 7: send a text or a list of up to 2048."),
        ({"input": ["a"] * 2049}, "input is a list of 2049: send a text or a list of up to 2048."),
        ({"input": None}, "input is null: send a text or a list of up to 2048."),
        ({"input": "word " * 600}, "Text 0 of input holds 600 tokens and the embedding model takes 512: split it."),
        ({"dimensions": 4}, "dimensions is 4, but this model's vectors have 8 and are never cut: leave it out."),
        ({"encoding_format": "hex"}, "encoding_format is text: it must be 'float' or 'base64'."),
    ],
)
async def test_what_cannot_be_embedded_is_refused_by_name(change: dict[str, Any], sentence: str) -> None:
    async with running(embedding=EchoEmbedding()) as server, httpx.AsyncClient() as http:
        answer = await http.post(server.url + EMBEDDINGS, json={"input": "a", **change})
        assert answer.status_code == 400
        assert sentence in answer.json()["error"]["message"]
        assert answer.json()["error"]["param"] == next(iter(change))
        (event,) = await server.settled(1)
        assert event.outcome == "failure"


async def test_another_models_name_and_an_empty_bucket_and_a_drain_are_refused_as_everywhere() -> None:
    async with running(embedding=EchoEmbedding(), burst=1, rate_per_s=0.1) as server, httpx.AsyncClient() as http:
        unknown = await http.post(server.url + EMBEDDINGS, json={"input": "a", "model": "echo"})
        assert (unknown.status_code, unknown.json()["error"]["code"]) == (404, "model_not_found")
        assert (await http.post(server.url + EMBEDDINGS, json={"input": "a", "dimensions": 8})).status_code == 200
        limited = await http.post(server.url + EMBEDDINGS, json={"input": "a"})
        assert (limited.status_code, limited.headers["retry-after"]) == (429, "10")
        server.station.gate.drain()
        refused = await http.post(server.url + EMBEDDINGS, json={"input": "a"})
        assert (refused.status_code, refused.json()["error"]["code"]) == (503, "draining")


class Stuck(EchoEmbedding):
    """Never comes back, and notes that it was told to stop."""

    cancelled = False

    async def embed(self, texts: Sequence[str]) -> Embedded:
        try:
            return await asyncio.Future()
        except asyncio.CancelledError:
            self.cancelled = True
            raise


async def test_a_client_that_leaves_and_a_deadline_that_passes_both_stop_the_work() -> None:
    engine = Stuck()
    async with running(embedding=engine, deadline_s=0.3) as server:
        async with httpx.AsyncClient() as http:
            leaving = asyncio.create_task(http.post(server.url + EMBEDDINGS, json={"input": "a"}))
            await asyncio.sleep(0.1)
            leaving.cancel()
        await until(lambda: engine.cancelled)
        (event,) = await server.settled(1)
        assert (event.outcome, event.status_code) == ("unknown", 499)
        async with httpx.AsyncClient() as http:
            late = await http.post(server.url + EMBEDDINGS, json={"input": "a"})
            assert (late.status_code, late.json()["error"]["code"]) == (504, "timeout")
