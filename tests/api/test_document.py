"""The OpenAPI document and the server say the same: schemathesis tries what it allows and what it forbids."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest

from llmops.api.errors import STATUS
from llmops.api.replies import ChatPiece, CompletionReply
from llmops.engine.dials import EchoDials
from llmops.engine.echo import EchoEngine
from llmops.engine.embedding import EchoEmbedding
from tests.api.running import running
from tests.api.test_routes import CHAT, HELLO

COMPLETIONS, EMBEDDINGS = "/v1/completions", "/v1/embeddings"
EXAMPLES = 8
ROOT = Path(__file__).parents[2]


async def test_schemathesis_finds_no_answer_that_the_document_does_not_know(tmp_path: Path) -> None:
    """Bodies that fit and bodies that do not, to every route but the live feed, which never ends."""
    engine = EchoEngine(EchoDials(tokens_per_s=0, ttft_s=0))
    async with running(engine, embedding=EchoEmbedding()) as server:
        command = ["-m", "schemathesis.cli", "run", f"{server.url}/openapi.json", "--exclude-path", "/ops/live"]
        limits = ["-n", str(EXAMPLES), "--seed", "1", "--generation-deterministic", "--phases", "coverage,fuzzing"]
        checks = ["--exclude-checks", "positive_data_acceptance", "--request-timeout", "10", "--no-color"]
        environment = {
            **os.environ,
            "SCHEMATHESIS_HOOKS": "tests.api.schemathesis_checks",
            "PYTHONPATH": str(ROOT),
            "NO_PROXY": "127.0.0.1",
        }
        trying = await asyncio.create_subprocess_exec(
            sys.executable,
            *command,
            *limits,
            *checks,
            env=environment,
            cwd=tmp_path,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        said, _ = await trying.communicate()
        text = said.decode("utf-8", "replace")
        assert trying.returncode == 0, text[-6_000:]
        assert "Tested: 10" in text
        assert not [event for event in server.requests if event.status_code >= 500]
        assert {event.operation for event in server.requests if event.outcome == "success"} == {
            "chat",
            "text_completion",
            "embeddings",
        }


async def test_the_document_names_every_route_error_and_the_way_in() -> None:
    async with running() as server, httpx.AsyncClient() as http:
        document: dict[str, Any] = (await http.get(f"{server.url}/openapi.json")).json()
    assert set(document["paths"]) >= {CHAT, COMPLETIONS, EMBEDDINGS, "/v1/models", "/v1/models/{model}", "/metrics"}
    assert document["components"]["securitySchemes"]["bearer"]["scheme"] == "bearer"
    assert {} in document["security"]
    assert document["components"]["schemas"]["ChatRequest"]["properties"]["messages"]["minItems"] == 1
    for path in (CHAT, COMPLETIONS, EMBEDDINGS):
        responses = document["paths"][path]["post"]["responses"]
        statuses = {
            status for slug, (status, _, _) in STATUS.items() if slug not in ("not_found", "method_not_allowed")
        }
        assert {int(status) for status in responses} == statuses | {200}
        assert "Retry-After" in responses["503"]["headers"]
        assert all("X-Request-ID" in response["headers"] for response in responses.values())


async def test_every_reference_of_the_document_leads_somewhere() -> None:
    async with running() as server, httpx.AsyncClient() as http:
        text = (await http.get(f"{server.url}/openapi.json")).text
    schemas = json.loads(text)["components"]["schemas"]
    named = [part.split('"', 1)[0] for part in text.split("#/components/schemas/")[1:]]
    assert len(named) > 20
    assert not set(named) - set(schemas)


@pytest.mark.parametrize("asked", [{}, {"stream_options": {"include_usage": True}, "include_metrics": True}])
async def test_every_piece_of_a_stream_is_what_the_document_says(asked: dict[str, Any]) -> None:
    async with running() as server, httpx.AsyncClient() as http:
        for path, body, model in ((CHAT, HELLO, ChatPiece), (COMPLETIONS, {"prompt": "a b"}, CompletionReply)):
            answer = await http.post(server.url + path, json={**body, **asked, "stream": True})
            events = [line.removeprefix("data: ") for line in answer.text.splitlines() if line.startswith("data: ")]
            assert events[-1] == "[DONE]"
            pieces = [model.model_validate_json(event) for event in events[:-1]]
            assert (pieces[-1].metrics is not None) == bool(asked)
            assert (pieces[-1].usage is not None) == bool(asked)
