from __future__ import annotations

import httpx
import pytest

from llmops.engine.contract import Sampling
from llmops.engine.dials import EchoDials
from llmops.engine.echo import EchoEngine
from llmops.events.snapshot import RequestDefaults
from tests.api.running import running

CHAT, COMPLETIONS = "/v1/chat/completions", "/v1/completions"
HELLO = {"messages": [{"role": "user", "content": "hello there"}]}
SERVED = Sampling(temperature=0.6, top_p=0.9, top_k=20)


def _engine() -> EchoEngine:
    return EchoEngine(EchoDials(tokens_per_s=0, ttft_s=0, max_model_len=64), sampling=SERVED)


async def test_the_values_that_apply_where_a_request_names_none_are_shown() -> None:
    async with running(_engine()) as server, httpx.AsyncClient() as http:
        server.station.request_defaults = RequestDefaults(max_tokens=300)
        shown = (await http.get(server.url + "/v1/models")).json()["data"][0]["defaults"]
        assert shown == {"max_tokens": 300, "temperature": 0.6, "top_p": 0.9, "top_k": 20, "stop_loops": False}
        assert (await http.get(server.url + "/ops/snapshot")).json()["defaults"] == shown


@pytest.mark.parametrize(
    ("path", "body", "used", "defaults"),
    [
        (CHAT, HELLO, (0.6, 0.9, 20), ("max_tokens", "temperature", "top_p", "top_k")),
        (CHAT, HELLO | {"temperature": 0.0, "max_tokens": 9}, (0.0, 0.9, 20), ("top_p", "top_k")),
        (CHAT, HELLO | {"top_k": 5, "top_p": 1.0}, (0.6, 1.0, 5), ("max_tokens", "temperature")),
        (COMPLETIONS, {"prompt": "so"}, (0.6, 0.9, 20), ("max_tokens", "temperature", "top_p", "top_k")),
    ],
)
async def test_an_event_has_the_values_that_were_used_and_names_those_that_the_server_filled_in(
    path: str, body: dict[str, object], used: tuple[float, float, int], defaults: tuple[str, ...]
) -> None:
    async with running(_engine()) as server, httpx.AsyncClient() as http:
        assert (await http.post(server.url + path, json=body)).status_code == 200
        (event,) = await server.settled(1)
    assert (event.temperature, event.top_p, event.top_k) == used
    assert event.defaults == defaults
    room = 64 - (event.input_tokens or 0)
    assert event.max_tokens == (body.get("max_tokens") or (16 if path == COMPLETIONS else room))


async def test_a_completion_that_names_no_length_takes_the_room_that_there_is() -> None:
    async with running(_engine()) as server, httpx.AsyncClient() as http:
        answer = await http.post(server.url + COMPLETIONS, json={"prompt": "so " * 30})
    assert (answer.status_code, answer.json()["usage"]["completion_tokens"]) == (200, 4)


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        (HELLO | {"max_tokens": 99}, "lower max_tokens to "),
        (
            {"messages": [{"role": "user", "content": "so " * 80}]},
            "tokens and the model's context is 64: shorten messages by ",
        ),
        ({"messages": [{"role": "user", "content": "so " * 900}]}, "about 675 tokens, and the model's context is 64: "),
    ],
)
async def test_a_refusal_says_how_much_is_too_much(body: dict[str, object], sentence: str) -> None:
    async with running(_engine()) as server, httpx.AsyncClient() as http:
        answer = await http.post(server.url + CHAT, json=body)
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "context_length_exceeded")
    assert sentence in answer.json()["error"]["message"]
