"""Finding an upstream, waiting for it, and noticing when it is no longer well."""

from __future__ import annotations

import asyncio
import json

import pytest

from llmops.engine.build import build_engine
from llmops.engine.dials import EchoDials, EngineDials, UpstreamDials
from llmops.engine.errors import EngineStopped, ModelNotLoaded
from tests.engine.answers import ask, text_of, until
from tests.engine.openai_server import openai_server
from tests.engine.scripted_upstream import replied, said, upstream


def _rows(*rows: dict[str, object]) -> str:
    return json.dumps({"object": "list", "data": list(rows)})


async def test_a_real_server_is_found_and_its_card_read() -> None:
    async with openai_server(EchoDials(tokens_per_s=0, ttft_s=0), told_len=777) as server:
        engine = build_engine("upstream", dials=EngineDials(upstream=UpstreamDials(url=f"{server.url}/")))
        await engine.start()
        card = engine.card
        assert await text_of(engine, ask(engine, "say it")) == "say it"
        await engine.stop()
    assert (card.id, card.version, card.engine, card.max_model_len) == ("org/echo", "echo-1", "upstream", 777)


@pytest.mark.parametrize(
    ("row", "version", "length"),
    [
        ({"id": "m", "root": "m", "created": 1_700_000_000}, "1700000000", 32_768),
        ({"id": "m", "meta": {"n_ctx_train": 4096}}, "fp_1", 4096),
        ({"id": "/models/some.gguf", "meta": {"n_ctx": 2048, "n_ctx_train": 4096}}, "fp_1", 2048),
        ({"id": "m", "root": "/srv/models/qwen-3", "max_model_len": 10**30, "created": True}, "qwen-3", 32_768),
    ],
)
async def test_the_card_says_what_the_upstream_says(row: dict[str, object], version: str, length: int) -> None:
    async with upstream(start=False) as (engine, told):
        told.models = (200, _rows(row))
        told.probe = replied(
            200,
            'data: {"system_fingerprint": "fp_1", "choices": [{"delta": {"content": "x"}}]}\n\ndata: [DONE]\n\n',
            "content-type: text/event-stream",
        )
        await engine.start()
        assert (engine.card.version, engine.card.max_model_len) == (version, length)
        assert "/" not in engine.card.id


async def test_a_dial_caps_the_length() -> None:
    async with upstream(max_model_len=100) as (engine, _):
        assert engine.card.max_model_len == 100


@pytest.mark.parametrize(
    ("models", "probe", "sentence"),
    [
        ((200, _rows({"id": "a"}, {"id": "b"})), None, r"serves 2 models \(a, b\): name one"),
        ((401, "{}"), None, "LLMOPS_ENGINE__UPSTREAM_API_KEY"),
        ((404, "not here"), None, "usually ends with /v1"),
        ((301, ""), None, "the address where it ends"),
        ((200, "<html>"), None, "no OpenAI-compatible API"),
        ((200, "[]"), None, "no OpenAI-compatible API"),
        ((200, "x" * (2 << 20)), None, "no OpenAI-compatible API .*more than 1024 KiB"),
        ((418, json.dumps({"error": {"message": "a teapot"}})), None, 'answers 418: "a teapot": look into its log'),
        ((200, _rows({"id": "m"})), replied(400, json.dumps({"error": "no"})), 'answers 400: "no"'),
        ((200, _rows()), None, "it serves no model"),
        ((503, json.dumps({"error": {"message": "Loading model"}})), None, 'answers 503: "Loading model"'),
    ],
)
async def test_a_start_that_cannot_be_names_the_address_and_the_fix(
    models: tuple[int, str], probe: object, sentence: str
) -> None:
    async with upstream(start=False, start_timeout_s=0.3) as (engine, told):
        told.models = models
        if probe is not None:
            told.probe = probe  # type: ignore[assignment]
        with pytest.raises(ModelNotLoaded, match=sentence) as caught:
            await asyncio.wait_for(engine.start(), 3)
        assert told.url in str(caught.value)
        assert engine.health().state == "starting"


@pytest.mark.parametrize(
    ("dials", "sentence"),
    [
        (UpstreamDials(), "--upstream http://"),
        (UpstreamDials(url="localhost:1"), "must start with http"),
        (UpstreamDials(url="http://x/v1", api_key="a\nb"), "no HTTP header can carry"),
        (UpstreamDials(url="http://127.0.0.1:1/v1", start_timeout_s=0.2), r"not ready within 0\.2 s \(.*refused\)"),
    ],
)
async def test_an_address_or_key_that_cannot_be_used_is_refused(dials: UpstreamDials, sentence: str) -> None:
    with pytest.raises(ModelNotLoaded, match=sentence) as caught:
        await build_engine("upstream", dials=EngineDials(upstream=dials)).start()
    assert "a\nb" not in str(caught.value)


async def test_the_named_model_is_taken_also_where_the_server_adds_a_tag_or_has_no_list() -> None:
    async with upstream(start=False, model="llama3") as (engine, told):
        told.models = (200, _rows({"id": "other"}, {"id": "llama3:latest"}))
        await engine.start()
        assert engine.card.id == "llama3:latest"
    async with upstream(start=False, model="llama3") as (engine, told):
        told.models = (404, "")
        await engine.start()
        assert engine.card.id == "llama3"
    async with upstream(start=False, model="llama3") as (engine, told):
        told.models = (200, _rows({"id": "other"}))
        with pytest.raises(ModelNotLoaded, match="does not serve 'llama3': it has other"):
            await engine.start()


async def test_a_start_waits_while_the_model_loads() -> None:
    async with upstream(said("a"), start=False) as (engine, told):
        told.models = (503, "")
        starting = asyncio.create_task(engine.start())
        await until(lambda: "503" in engine.health().reason)
        assert engine.health().state == "starting"
        with pytest.raises(EngineStopped):
            await text_of(engine, ask(engine, "too early"))
        told.models = (200, _rows({"id": "m"}))
        await starting
        assert engine.health().state == "ready"
        assert await text_of(engine, ask(engine, "now")) == "a"


async def test_a_model_without_a_chat_template_is_probed_with_text() -> None:
    async with upstream(start=False) as (engine, told):
        refused, answers = replied(400, json.dumps({"error": "no chat template"})), said("x")

        async def probe(asked: object, writer: asyncio.StreamWriter) -> None:
            chat = "messages" in asked.json()  # type: ignore[attr-defined]
            await (refused if chat else answers)(asked, writer)  # type: ignore[arg-type]

        told.probe = probe
        await engine.start()
        assert engine.health().state == "ready"


async def test_an_upstream_that_is_away_degrades_the_engine_until_it_is_back() -> None:
    async with upstream(said("a")) as (engine, told):
        told.models = (500, "")
        await until(lambda: engine.health().state == "degraded")
        assert "500" in engine.health().reason
        assert await text_of(engine, ask(engine, "still try")) == "a"
        told.models = (200, _rows({"id": "m", "max_model_len": 99}))
        await until(lambda: engine.health().state == "ready")
        assert engine.card.max_model_len == 99


async def test_an_upstream_that_serves_another_model_for_too_long_makes_the_engine_dead() -> None:
    async with upstream(dead_after_s=0.2) as (engine, told):
        told.models = (200, _rows({"id": "another"}))
        await until(lambda: engine.health().state == "degraded")
        assert "does not serve 'm': it has another" in engine.health().reason
        await until(lambda: engine.health().state == "dead")
        assert "not well for too long" in engine.health().reason
        assert told.url not in engine.health().reason


async def test_a_failed_request_makes_the_engine_look_at_once() -> None:
    async with upstream(replied(500, ""), look_every_s=60.0, retries=0) as (engine, told):
        looks = told.looks
        told.models = (503, "")
        with pytest.raises(Exception, match="500"):
            await text_of(engine, ask(engine, "hello"))
        await until(lambda: told.looks > looks and engine.health().state == "degraded")
