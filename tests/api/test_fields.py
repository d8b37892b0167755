"""Fields of other servers: honoured, refused by name, or ignored aloud; none vanishes."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest

from llmops.api.fields import check_text_fields
from llmops.engine.dials import EchoDials
from llmops.engine.echo import EchoEngine
from llmops.engine.embedding import EchoEmbedding
from tests.api.running import running
from tests.api.test_routes import CHAT, HELLO

COMPLETIONS, EMBEDDINGS = "/v1/completions", "/v1/embeddings"
CHANGES_THE_ANSWER: dict[str, Any] = {
    "guided_json": {"type": "object"},
    "guided_regex": "a+",
    "guided_choice": ["a", "b"],
    "guided_grammar": "root ::= x",
    "structured_outputs": {"choice": ["a"]},
    "grammar": "root ::= x",
    "json_schema": {"type": "object"},
    "regex": "a+",
    "ebnf": "root ::= x",
    "response_format": {"type": "json_object"},
    "prompt_logprobs": 3,
    "repeat_penalty": 1.1,
    "repetition_penalty": 1.1,
    "mirostat": 2,
    "logit_bias": {"1": 5},
    "echo": True,
    "suffix": "end",
    "best_of": 2,
    "bad_words": ["x"],
    "allowed_token_ids": [1],
    "typical_p": 0.5,
    "min_p": 0.1,
    "xtc_probability": 0.5,
    "dry_multiplier": 0.8,
    "skip_special_tokens": False,
    "include_stop_str_in_output": True,
    "truncate_prompt_tokens": 5,
    "add_special_tokens": "yes",
    "use_beam_search": True,
    "think": False,
    "thinking": {"type": "disabled"},
    "options": {"num_predict": 5},
    "extra_body": {"top_k": 1},
    "max_new_tokens": 5,
    "n_predict": 5,
    "stop_sequences": ["a"],
    "tool_choice": "required",
    "chat_template": "{{ messages }}",
    "documents": [{"text": "a"}],
    "audio": {"voice": "x"},
    "web_search_options": {"x": 1},
    "maxTokens": 5,
    "temprature": 0.1,
    "max_token": 5,
    "topK": 5,
}


@pytest.mark.parametrize("name", CHANGES_THE_ANSWER)
@pytest.mark.parametrize(("path", "body"), [(CHAT, HELLO), (COMPLETIONS, {"prompt": "a"})], ids=["chat", "completion"])
async def test_a_field_that_would_change_the_answer_is_refused_by_its_name(
    path: str, body: dict[str, Any], name: str
) -> None:
    async with running() as server, httpx.AsyncClient() as http:
        answer = await http.post(server.url + path, json={**body, name: CHANGES_THE_ANSWER[name]})
    error = answer.json()["error"]
    assert (answer.status_code, error["param"].split(".")[0]) == (400, name), error
    assert error["message"].startswith(name)
    assert error["message"].count(";") == 1 or "it must" in error["message"]


OFF: dict[str, Any] = {
    "guided_json": None,
    "guided_choice": [],
    "structured_outputs": {},
    "grammar": "",
    "repeat_penalty": 1.0,
    "mirostat": 0,
    "mirostat_tau": 5.0,
    "typical_p": 1,
    "prompt_logprobs": None,
    "bad_words": [],
    "logit_bias": {},
    "use_beam_search": False,
    "skip_special_tokens": True,
    "response_format": {"type": "text"},
    "length_penalty": 1.0,
    "truncate_prompt_tokens": -1,
    "tool_choice": "auto",
    "verbosity": "medium",
    "chat_template_kwargs": {"enable_thinking": False},
    "reasoning_effort": "none",
    "continue_final_message": False,
    "add_generation_prompt": True,
    "ignore_eos": False,
    "min_tokens": 0,
    "stop_token_ids": [],
    "top_k": -1,
}
HARMLESS: dict[str, Any] = {
    "user": "a",
    "metadata": {"a": "b"},
    "store": True,
    "service_tier": "auto",
    "safety_identifier": "x",
    "prompt_cache_key": "x",
    "cache_prompt": True,
    "keep_alive": "5m",
    "priority": 1,
}


@pytest.mark.parametrize("name", [*OFF, *HARMLESS])
async def test_a_value_that_changes_nothing_is_accepted_without_a_word(name: str) -> None:
    async with running() as server, httpx.AsyncClient() as http:
        answer = await http.post(server.url + CHAT, json={**HELLO, name: {**OFF, **HARMLESS}[name]})
    assert answer.status_code == 200, answer.text
    assert "x-llmops-ignored" not in answer.headers


@pytest.mark.parametrize("stream", [False, True])
async def test_a_field_that_nothing_knows_is_ignored_and_named_in_a_header(stream: bool) -> None:
    async with running() as server, httpx.AsyncClient() as http:
        body = {**HELLO, "stream": stream, "chat_id": "1", "evil\r\nset-cookie": 1, "ünicode": 2}
        answer = await http.post(server.url + CHAT, json=body)
    assert (answer.status_code, answer.headers["x-llmops-ignored"]) == (200, "chat_id")
    assert "set-cookie" not in answer.headers


def test_thousands_of_unknown_fields_are_as_few_words_as_ten() -> None:
    names = check_text_fields({f"field{number}": 1 for number in range(50_000)}, {"temperature"}, forwards=False)
    assert len(names) == 10


@pytest.mark.parametrize(
    ("name", "value"),
    [("input_type", "query"), ("truncate", "END"), ("normalize", False), ("truncate_prompt_tokens", 9)],
)
async def test_a_field_that_would_change_the_vectors_is_refused_by_its_name(name: str, value: object) -> None:
    async with running(embedding=EchoEmbedding()) as server, httpx.AsyncClient() as http:
        answer = await http.post(server.url + EMBEDDINGS, json={"input": "a", name: value})
        fine = await http.post(server.url + EMBEDDINGS, json={"input": "a", "truncate": "NONE", "own_field": 1})
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, name)
    assert (fine.status_code, fine.headers["x-llmops-ignored"]) == (200, "own_field")


@pytest.mark.parametrize(
    ("messages", "status"),
    [
        ([{"role": "assistant", "content": None}], 200),
        ([{"role": "assistant"}], 200),
        ([{"role": "assistant", "content": ""}], 200),
        ([{"role": "assistant", "content": []}], 200),
        ([{"role": "assistant", "content": None, "refusal": "No."}], 200),
        ([{"role": "assistant", "content": [{"type": "refusal", "refusal": "No."}]}], 200),
        ([{"role": "developer", "content": "Be brief.", "name": "ops"}], 200),
        (
            [
                {
                    "role": "assistant",
                    "content": None,
                    "tool_calls": [{"id": "1", "type": "function", "function": {"name": "f", "arguments": "{}"}}],
                },
                {"role": "tool", "tool_call_id": "1", "content": "sunny"},
            ],
            200,
        ),
        ([{"role": "user", "content": None}], 400),
        ([{"role": "tool", "tool_call_id": "1"}], 400),
        ([{"role": "assistant", "content": [{"type": "refusal"}]}], 400),
    ],
)
async def test_only_an_assistant_may_have_said_nothing(messages: list[dict[str, Any]], status: int) -> None:
    async with running() as server, httpx.AsyncClient() as http:
        answer = await http.post(server.url + CHAT, json={"messages": [*messages, {"role": "user", "content": "hi"}]})
    assert answer.status_code == status, answer.text
    if status == 400:
        assert answer.json()["error"]["param"].startswith("messages.0.content")
    else:
        assert answer.json()["choices"][0]["message"]["content"] == "hi"


@pytest.mark.parametrize("top_k", [0, -1, 5])
async def test_top_k_of_zero_or_minus_one_is_off(top_k: int) -> None:
    async with running() as server, httpx.AsyncClient() as http:
        answer = await http.post(server.url + CHAT, json={**HELLO, "top_k": top_k})
        (event,) = await server.settled(1)
    assert (answer.status_code, event.top_k) == (200, top_k if top_k > 0 else None)


async def test_a_chat_that_names_no_length_is_answered_up_to_the_end_of_the_context() -> None:
    engine = EchoEngine(EchoDials(tokens_per_s=0, ttft_s=0, max_model_len=2_000))
    words = "word " * 400  # 800 tokens
    async with running(engine) as server, httpx.AsyncClient() as http:
        body = {"messages": [{"role": "user", "content": words}]}
        whole = (await http.post(server.url + CHAT, json=body)).json()
        endless = (await http.post(server.url + CHAT, json={**body, "ignore_eos": True})).json()
        defaults = (await http.get(f"{server.url}/v1/models")).json()["data"][0]["defaults"]
    assert (whole["usage"]["completion_tokens"], whole["choices"][0]["finish_reason"]) == (801, "stop")
    assert (endless["usage"]["total_tokens"], endless["choices"][0]["finish_reason"]) == (2_000, "length")
    assert defaults["max_tokens"] is None


async def test_min_tokens_come_before_any_stop() -> None:
    async with running() as server, httpx.AsyncClient() as http:
        body = {"messages": [{"role": "user", "content": "a b c"}], "min_tokens": 8, "stop": "b"}
        answer = (await http.post(server.url + CHAT, json=body)).json()
        refused = (await http.post(server.url + CHAT, json={**body, "max_tokens": 7})).json()
    assert answer["choices"][0]["message"]["content"] == "a b ca b"
    assert refused["error"]["message"] == "min_tokens is 8 and max_tokens is 7: lower min_tokens to 7 or less."


async def test_at_its_deadline_an_answer_of_no_named_length_ends_properly_and_one_with_a_length_fails() -> None:
    engine = EchoEngine(EchoDials(tokens_per_s=20, ttft_s=0))
    async with running(engine, deadline_s=1.0) as server, httpx.AsyncClient() as http:
        body = {"messages": [{"role": "user", "content": "a b " * 50}]}
        open_ended = await http.post(server.url + CHAT, json=body, timeout=20)
        named = await http.post(server.url + CHAT, json={**body, "max_tokens": 150}, timeout=20)
        events = await server.settled(2)
    assert open_ended.json()["choices"][0]["finish_reason"] == "length"
    assert len(open_ended.json()["choices"][0]["message"]["content"]) >= 5
    assert (named.status_code, named.json()["error"]["code"]) == (504, "timeout")
    assert [event.stopped_by for event in events] == ["deadline", None]
    assert [event.outcome for event in events] == ["success", "failure"]


async def test_at_its_deadline_an_engine_that_wrote_nothing_fails_whatever_was_named() -> None:
    engine = EchoEngine(EchoDials(stall_at=1))
    async with running(engine, deadline_s=0.3) as server, httpx.AsyncClient() as http:
        assert (await http.post(server.url + CHAT, json=HELLO)).status_code == 504


async def test_an_answer_of_no_named_length_sets_aside_a_part_of_the_context_only() -> None:
    engine = EchoEngine(EchoDials(stall_at=1, max_model_len=8_192))
    async with running(engine) as server, httpx.AsyncClient() as http:
        asked = asyncio.create_task(http.post(server.url + CHAT, json=HELLO))
        async with asyncio.timeout(10):
            while not engine.stats().running:
                await asyncio.sleep(0.005)
        assert 512 < server.station.gate.running_tokens < 600
        asked.cancel()
        await asyncio.gather(asked, return_exceptions=True)
        (event,) = await server.settled(1)
    assert event.max_tokens is not None
    assert event.max_tokens > 8_000
