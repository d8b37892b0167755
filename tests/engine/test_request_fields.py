"""What a request may say of an answer's end and of its chat template, on both engines that run a model themselves."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from llmops.engine.contract import Message, Sampling, TemplateOptions
from llmops.engine.dials import EngineDials
from llmops.engine.errors import UnsupportedField
from llmops.engine.template_variables import template_variables
from llmops.engine.transformers_engine import TransformersEngine
from llmops.engine.turns import turns_of
from tests.engine.answers import GREEDY, ask, pieces_of

DRAWN = Sampling(temperature=1.5, seed=3)
THINKS = "{{ messages[0]['content'] }}{% if enable_thinking is false %}quick{% endif %}{{ bos_token }}"


@pytest_asyncio.fixture(params=[False, True], ids=["batched", "sequential"])
async def engine(tiny_folder: Path, request: pytest.FixtureRequest) -> AsyncIterator[TransformersEngine]:
    engine = TransformersEngine(str(tiny_folder), one_by_one=request.param)
    await engine.start()
    yield engine
    await engine.stop()


@pytest.mark.parametrize("sampling", [GREEDY, DRAWN], ids=["greedy", "drawn"])
async def test_the_model_does_not_end_an_answer_that_it_may_not_end(
    engine: TransformersEngine, sampling: Sampling
) -> None:
    """Nearly every token is an end token here: an answer ends at once unless that is forbidden."""
    loop = engine._here()[1]
    ends = frozenset(range(len(engine._here()[0].tokenizer) - 50))
    plain = ask(engine, "hello", max_tokens=30, sampling=sampling)
    engine._eos_ids = ends
    await loop.close()
    engine._live = await engine._choose_loop(engine._here()[0])
    for wanted, changes in ((1, {}), (30, {"ignore_eos": True}), (13, {"min_tokens": 12})):
        pieces = await pieces_of(engine, dataclasses.replace(plain, id=f"g{wanted}", **changes))
        count = sum(piece.tokens for piece in pieces)
        assert wanted <= count <= wanted + (0 if wanted == 30 else 9)
        assert pieces[-1].finish_reason == ("length" if wanted == 30 else "stop")


async def test_a_stop_token_ends_the_answer_and_is_not_shown(engine: TransformersEngine) -> None:
    asked = ask(engine, "hello", max_tokens=24)
    flow = [token async for token in _tokens(engine, asked.prompt_ids)]
    stop = next(token for index, token in enumerate(flow) if index >= 2 and token not in flow[:index])
    at = flow.index(stop)
    pieces = await pieces_of(engine, dataclasses.replace(asked, id="stopped", stop_token_ids=(stop,)))
    assert (pieces[-1].stopped_by, sum(piece.tokens for piece in pieces)) == ("stop_token", at + 1)
    text = "".join(piece.text for piece in pieces)
    assert text == engine._here()[0].tokenizer.decode(flow[:at]).rstrip("\ufffd")
    later = await pieces_of(engine, dataclasses.replace(asked, id="later", stop_token_ids=(stop,), min_tokens=at + 1))
    assert sum(piece.tokens for piece in later) > at + 1


async def _tokens(engine: TransformersEngine, prompt_ids: object) -> AsyncIterator[int]:
    from llmops.engine.sampling import Draw

    loop = engine._here()[1]
    flow = loop.begin(prompt_ids, 24, Draw(temperature=0.0, top_k=0, top_p=1.0, seed=0))  # type: ignore[arg-type]
    try:
        while True:
            arrival = await flow.next()
            for token in arrival.tokens:
                yield token
            if arrival.is_last:
                return
    finally:
        loop.leave(flow)


async def test_a_stop_token_that_the_model_does_not_have_is_refused_by_the_name_of_its_field(
    engine: TransformersEngine,
) -> None:
    with pytest.raises(UnsupportedField, match="stop_token_ids holds 9999999") as refused:
        await pieces_of(engine, dataclasses.replace(ask(engine, "a"), stop_token_ids=(9_999_999,)))
    assert refused.value.field == "stop_token_ids"


async def test_answers_of_no_named_length_run_together_in_a_cache_that_holds_one(tiny_folder: Path) -> None:
    """The engine sets one back where the pages run out; each ends whole, with the text that it has alone."""
    engine = TransformersEngine(str(tiny_folder), EngineDials(kv_cache_bytes=700_000))
    await engine.start()
    limit = engine.card.max_model_len
    try:
        asked = [
            dataclasses.replace(
                ask(engine, f"question {number}", sampling=dataclasses.replace(DRAWN, seed=number)),
                max_tokens=limit,
                names_length=False,
                ignore_eos=True,
            )
            for number in range(4)
        ]
        together = await asyncio.gather(*[pieces_of(engine, each) for each in asked])
        alone = [await pieces_of(engine, dataclasses.replace(each, id=f"{each.id}-alone")) for each in asked]
        assert engine.card.cache_tokens is not None and engine.card.cache_tokens < 4 * limit
    finally:
        await engine.stop()
    for pieces, again, each in zip(together, alone, asked, strict=True):
        assert pieces[-1].finish_reason == "length"
        assert sum(piece.tokens for piece in pieces) == limit - len(each.prompt_ids)
        assert "".join(piece.text for piece in pieces) == "".join(piece.text for piece in again)


async def test_the_last_message_is_continued_and_the_assistant_is_not_opened(engine: TransformersEngine) -> None:
    messages = [Message("user", "count"), Message("assistant", "one two")]
    decode = engine._here()[0].tokenizer.decode
    opened = decode(engine.encode(messages))
    continued = decode(engine.encode(messages, TemplateOptions(continue_final_message=True)))
    closed = decode(engine.encode(messages, TemplateOptions(add_generation_prompt=False)))
    assert opened.endswith("<|im_start|>assistant\n")
    assert continued.endswith("one two")
    assert closed.rstrip("\n").endswith("one two<|im_end|>")


@pytest.mark.parametrize(
    ("options", "given"),
    [
        (TemplateOptions(variables={"enable_thinking": False}), {"enable_thinking": False}),
        (TemplateOptions(variables={"enable_thinking": True}), {"enable_thinking": True}),
        (TemplateOptions(reasoning_effort="none"), {"enable_thinking": False}),
        (TemplateOptions(variables={"other": False}), {}),
    ],
)
def test_a_template_gets_the_variables_that_it_reads(options: TemplateOptions, given: dict[str, object]) -> None:
    assert template_variables(THINKS, options) == given


@pytest.mark.parametrize(
    ("options", "field"),
    [
        (TemplateOptions(variables={"other": True}), "chat_template_kwargs"),
        (TemplateOptions(variables={"messages": [1]}), "chat_template_kwargs"),
        (TemplateOptions(variables={"bos_token": "x"}), "chat_template_kwargs"),
        (TemplateOptions(variables={"chat_template": "x"}), "chat_template_kwargs"),
        (TemplateOptions(variables={"a\r\nb": 1}), "chat_template_kwargs"),
        (TemplateOptions(reasoning_effort="high"), "reasoning_effort"),
    ],
)
def test_a_variable_that_the_template_does_not_read_is_refused(options: TemplateOptions, field: str) -> None:
    with pytest.raises(UnsupportedField, match=field) as refused:
        template_variables(THINKS, options)
    assert refused.value.field == field
    assert "\n" not in str(refused.value)


CALL = {"id": "1", "type": "function", "function": {"name": "weather", "arguments": '{"city": "Oslo"}'}}
HISTORY = [
    Message("user", "Weather?"),
    Message("assistant", "", {"tool_calls": [CALL]}),
    Message("tool", "sunny", {"tool_call_id": "1"}),
    Message("tool", "warm", {"name": "thermometer"}),
]


def test_a_template_that_knows_tools_gets_calls_with_their_arguments_as_an_object() -> None:
    turns = turns_of(HISTORY, "{{ message.tool_calls }}")
    assert turns[1]["tool_calls"][0]["function"] == {"name": "weather", "arguments": {"city": "Oslo"}}
    assert [turn["role"] for turn in turns] == ["user", "assistant", "tool", "tool"]


def test_a_template_that_does_not_know_tools_gets_calls_and_results_as_text() -> None:
    turns = turns_of(HISTORY, "{{ message.content }}")
    assert turns == [
        {"role": "user", "content": "Weather?"},
        {"role": "assistant", "content": 'Called weather with {"city": "Oslo"}'},
        {"role": "user", "content": "Result of 1: sunny\nResult of thermometer: warm"},
    ]


@pytest.mark.parametrize("calls", [[1], [{}], [{"function": "x"}], [{"function": {"arguments": "{"}}], "text"])
def test_calls_that_are_none_break_nothing(calls: object) -> None:
    for template in ("tool", "none"):
        assert len(turns_of([Message("assistant", "a", {"tool_calls": calls})], template)) == 1
