"""Bodies that no honest client sends: each one gets one clear sentence, and the server goes on."""

from __future__ import annotations

import json

import httpx
import pytest

from tests.api.running import running
from tests.api.test_routes import CHAT, HELLO

COMPLETIONS = "/v1/completions"
PLAIN = json.dumps({"prompt": "a"}).encode()


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "The body is empty: send a JSON object."),
        (b"null", "The body is null: input should be an object."),
        (b"\x00", "The body is not JSON: expected value at line 1 column 1."),
        (b'{"prompt": "a\x00"}', "The body is not JSON: control character"),
        (b'{"prompt": "\xff\xfe"}', "The body is not JSON: invalid unicode code point"),
        (b'{"prompt": "\\ud800"}', "The body is not JSON: unexpected end of hex escape"),
        (b'{"prompt": "a", "deep": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", "The body is not JSON: recursion limit"),
        (b'{"prompt": "a", "max_tokens": 1' + b"0" * 5_000 + b"}", "The body is not JSON: number out of range"),
        (b'{"prompt": "a", "max_tokens": 1' + b"0" * 60 + b"}", "max_tokens is a number of more than 40 digits: it"),
        (b'{"prompt": "a", "top_k": 99999999999}', "top_k is 99999999999: it must be 2147483647 or less."),
        (b'{"prompt": "a", "temperature": 1e999}', "temperature is Infinity: it must be 2.0 or less."),
        (b'{"prompt": "a", "temperature": NaN}', "temperature is NaN: it must be"),
        (b'{"prompt": "a", "seed": 1e400}', "seed is Infinity: "),
        (b'{"prompt": "a", "max_tokens": "5"}', "max_tokens is text: input should be a valid integer."),
        (b'{"prompt": "a"} {"prompt": "b"}', "The body is not JSON: trailing characters"),
    ],
    ids=lambda value: repr(value)[:32],
)
async def test_a_hostile_body_is_refused_in_one_sentence(content: bytes, sentence: str) -> None:
    async with running() as server, httpx.AsyncClient() as http:
        headers = {"content-type": "application/json"}
        answer = await http.post(server.url + COMPLETIONS, content=content, headers=headers)
        assert answer.status_code == 400
        assert answer.json()["error"]["message"].startswith(sentence)
        assert answer.json()["error"]["message"].endswith(".")
        assert (await http.post(server.url + COMPLETIONS, content=PLAIN, headers=headers)).status_code == 200


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"])
async def test_a_body_of_another_kind_is_refused_with_the_header_to_send(kind: str) -> None:
    async with running() as server, httpx.AsyncClient() as http:
        answer = await http.post(server.url + COMPLETIONS, content=PLAIN, headers={"content-type": kind})
        assert answer.status_code == 400
        assert "Content-Type: application/json" in answer.json()["error"]["message"]
        (event,) = await server.settled(1)
        assert (event.error_type, event.slo_eligible) == ("invalid_request", False)


@pytest.mark.parametrize(
    "kind", ["application/json", "application/json; charset=utf-8", "application/vnd.x+json", None]
)
async def test_json_by_any_of_its_names_is_taken_and_so_is_a_body_without_a_name(kind: str | None) -> None:
    async with running() as server, httpx.AsyncClient() as http:
        headers = {"content-type": kind} if kind else {}
        assert (await http.post(server.url + COMPLETIONS, content=PLAIN, headers=headers)).status_code == 200


async def test_a_foreign_page_cannot_send_a_nameless_body_through_its_readers_browser() -> None:
    async with running() as server, httpx.AsyncClient() as http:
        answer = await http.post(server.url + COMPLETIONS, content=PLAIN, headers={"origin": "https://evil.example"})
        assert answer.status_code == 400
        assert answer.json()["error"]["message"].startswith("The content type is missing: ")


async def test_a_null_character_that_json_can_say_is_text_like_any_other() -> None:
    async with running() as server, httpx.AsyncClient() as http:
        body = {"messages": [{"role": "user", "content": "a\x00b"}], "user": "x\x00y"}
        answer = await http.post(server.url + CHAT, json=body)
        assert answer.json()["choices"][0]["message"]["content"] == "a\x00b"


async def test_an_image_is_refused_by_the_name_of_its_place() -> None:
    async with running() as server, httpx.AsyncClient() as http:
        parts = [{"type": "text", "text": "what is this"}, {"type": "image_url", "image_url": {"url": "http://x/y"}}]
        answer = await http.post(server.url + CHAT, json={**HELLO, "messages": [{"role": "user", "content": parts}]})
        assert answer.json()["error"]["param"] == "messages.0.content.1.type"
        assert answer.json()["error"]["message"].endswith("it must be 'text' or 'refusal'.")
