"""LangChain's client for the OpenAI API, pointed at us."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from typing import Any

import openai
import pytest
from langchain_openai import ChatOpenAI, OpenAIEmbeddings
from openai import BadRequestError, RateLimitError
from pydantic import SecretStr

from llmops.engine.embedding import EchoEmbedding
from tests.api.running import Running, running


@contextlib.asynccontextmanager
async def clients() -> AsyncIterator[dict[str, Any]]:
    """Its own would be shared by all models, and left to the garbage collector when the loop is closed."""
    async with openai.DefaultAsyncHttpxClient() as patient:
        with openai.DefaultHttpxClient() as blocking:
            yield {"http_async_client": patient, "http_client": blocking}


@contextlib.asynccontextmanager
async def model_of(server: Running, **dials: Any) -> AsyncIterator[ChatOpenAI]:
    async with clients() as both:
        yield ChatOpenAI(
            model="echo", base_url=f"{server.url}/v1", api_key=SecretStr("none"), max_retries=0, **both, **dials
        )


async def test_it_invokes_and_knows_the_usage_and_the_model() -> None:
    async with running() as server, model_of(server, temperature=0.0, seed=3, max_tokens=50) as model:
        answer = await model.ainvoke([("system", "be brief"), ("human", "one two three")])
        assert answer.content == "one two three"
        assert answer.usage_metadata is not None
        assert answer.usage_metadata["output_tokens"] > 0
        assert answer.response_metadata["model_name"] == "echo"
        assert answer.response_metadata["finish_reason"] == "stop"


async def test_it_streams_and_the_pieces_make_the_whole() -> None:
    async with running() as server, model_of(server, stream_usage=True) as model:
        pieces = [piece async for piece in model.astream("one two three")]
        assert "".join(str(piece.content) for piece in pieces) == "one two three"
        assert sum(bool(piece.content) for piece in pieces) > 1
        whole = pieces[0]
        for piece in pieces[1:]:
            whole += piece
        assert whole.usage_metadata is not None
        assert whole.usage_metadata["output_tokens"] > 0


async def test_it_sends_a_batch_side_by_side() -> None:
    async with running() as server, model_of(server) as model:
        answers = await model.abatch(["one", "two", "three"])
        assert [answer.content for answer in answers] == ["one", "two", "three"]
        assert len(await server.settled(3)) == 3


async def test_our_errors_are_its_errors() -> None:
    async with running(burst=1, rate_per_s=0.1) as server:
        async with model_of(server, n=2) as greedy:
            with pytest.raises(BadRequestError, match="n is not supported here"):
                await greedy.ainvoke("x")
        async with model_of(server) as model:
            await model.ainvoke("x")
            with pytest.raises(RateLimitError):
                await model.ainvoke("x")


async def test_its_embeddings_need_text_instead_of_token_ids_and_then_work() -> None:
    async with running(embedding=EchoEmbedding()) as server, clients() as both:
        embeddings = OpenAIEmbeddings(
            model="echo-embedding",
            openai_api_base=f"{server.url}/v1",
            openai_api_key=SecretStr("none"),
            check_embedding_ctx_length=False,
            **both,
        )
        vectors = await embeddings.aembed_documents(["one", "two", "one"])
        assert vectors[0] == vectors[2] != vectors[1]
        assert len(vectors[0]) == 8
