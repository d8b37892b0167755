"""Answers of an upstream that does not behave: each way has a typed error with one sentence, or does no harm."""

from __future__ import annotations

import asyncio
import json

import pytest

from llmops.engine.contract import Generation, Message, Sampling
from llmops.engine.errors import (
    BadPrompt,
    EngineError,
    OutOfMemory,
    PromptTooLong,
    UnsupportedSampling,
    UpstreamBusy,
    UpstreamFailed,
)
from tests.client.small_server import Asked, delta, open_stream, send, usage
from tests.engine.answers import ask, pieces_of, text_of, until
from tests.engine.scripted_upstream import Turn, hung_up, replied, said, streamed, upstream


def _error(message: str, **more: object) -> str:
    return json.dumps({"error": {"message": message, **more}})


async def test_only_what_was_asked_is_passed_on() -> None:
    async with upstream(said("a")) as (engine, told):
        await text_of(engine, ask(engine, "hello", max_tokens=9, sampling=Sampling()))
        full = Sampling(temperature=0.5, top_p=0.9, top_k=3, seed=7)
        await text_of(engine, ask(engine, "hello", max_tokens=9, sampling=full, stop=("x", "y")))
        await text_of(engine, Generation(id="b", prompt="bare", prompt_ids=[0], max_tokens=2))
        plain = {"model": "m", "stream": True, "max_tokens": 9, "stream_options": {"include_usage": True}}
        turns = {"messages": [{"role": "user", "content": "hello"}]}
        dials = {"temperature": 0.5, "top_p": 0.9, "top_k": 3, "seed": 7, "stop": ["x", "y"]}
        assert [asked.json() for asked in told.asked[:2]] == [plain | turns, plain | turns | dials]
        assert [asked.path for asked in told.asked] == ["/v1/chat/completions"] * 2 + ["/v1/completions"]
        assert told.asked[2].json() == {**plain, "max_tokens": 2, "prompt": "bare"}


async def test_counts_come_from_the_upstream_where_it_gives_them() -> None:
    counted = streamed(delta("ab"), delta("cd"), delta(finish_reason="stop"), usage(11, 5), "[DONE]")
    async with upstream(counted) as (engine, _):
        pieces = await pieces_of(engine, ask(engine, "hello"))
    assert [(piece.text, piece.tokens) for piece in pieces] == [("ab", 1), ("cd", 1), ("", 3)]
    assert (pieces[-1].input_tokens, pieces[-1].finish_reason) == (11, "stop")


async def test_counts_never_exceed_what_was_asked_whatever_the_upstream_says() -> None:
    talker = streamed(*[delta("x")] * 40, delta(finish_reason="length"), usage(-3, 10**12), "[DONE]")
    async with upstream(talker) as (engine, _):
        pieces = await pieces_of(engine, ask(engine, "hello", max_tokens=8))
    assert sum(piece.tokens for piece in pieces) == 8
    assert (pieces[-1].finish_reason, pieces[-1].input_tokens) == ("length", None)


async def test_an_upstream_that_never_stops_is_stopped() -> None:
    async def endless(_: Asked, writer: asyncio.StreamWriter) -> None:
        await open_stream(writer)
        while True:
            await send(writer, delta("word "))

    async with upstream(endless) as (engine, _):
        pieces = await asyncio.wait_for(pieces_of(engine, ask(engine, "hello", max_tokens=8)), 5)
    assert pieces[-1].finish_reason == "length"
    assert sum(piece.tokens for piece in pieces) == 8


async def test_stop_strings_hold_even_where_the_upstream_ignores_them() -> None:
    async with upstream(said("one E", "ND two", " three")) as (engine, _):
        pieces = await pieces_of(engine, ask(engine, "hello", stop=("END",)))
    assert ("".join(piece.text for piece in pieces), pieces[-1].finish_reason) == ("one ", "stop")


@pytest.mark.parametrize("reason", ["stop", "tool_calls", "content_filter", "eos_token", "length"])
async def test_finish_reasons_that_nobody_knows_are_a_stop(reason: str) -> None:
    async with upstream(said("a", finish_reason=reason)) as (engine, _):
        pieces = await pieces_of(engine, ask(engine, "hello"))
    assert pieces[-1].finish_reason == ("length" if reason == "length" else "stop")


async def test_reasoning_and_tool_calls_count_and_are_not_shown() -> None:
    hidden = [delta(None, reasoning_content="hm"), delta(None, tool_calls=[{"index": 0}])]  # type: ignore[arg-type]
    async with upstream(streamed(*hidden, delta("yes"), delta(finish_reason="stop"), "[DONE]")) as (engine, _):
        pieces = await pieces_of(engine, ask(engine, "hello"))
    assert [(piece.text, piece.tokens) for piece in pieces] == [("", 1), ("", 1), ("yes", 1), ("", 0)]


async def test_what_means_nothing_is_passed_over() -> None:
    odd: list[object] = [{}, {"choices": []}, {"choices": None, "usage": None}, {"choices": [None]}, {"choices": "x"}]
    odd += [{"choices": [{"delta": None, "finish_reason": 7}]}, {"choices": [{"delta": {"content": ["no"]}}]}]
    odd += [delta("\ud800"), {"choices": [{"delta": {}}], "usage": {"prompt_tokens": "many"}}]

    async def turn(asked: Asked, writer: asyncio.StreamWriter) -> None:
        await open_stream(writer)
        writer.write(b": a comment\n\nevent: ping\n\nretry: 5\n\n\n\n")
        await send(writer, *[json.dumps(each) for each in odd])
        await send(writer, delta("fine"), delta(finish_reason="stop"), "[DONE]")

    async with upstream(turn) as (engine, _):
        assert await text_of(engine, ask(engine, "hello")) == "?fine"


@pytest.mark.parametrize(
    ("turn", "kind", "sentence"),
    [
        (said("half", finish_reason=None, done=False), UpstreamFailed, "broke off in the middle"),
        (streamed(delta("half"), "{not json"), UpstreamFailed, "no JSON"),
        (streamed(delta("half"), "[1]"), UpstreamFailed, "no JSON object"),
        (streamed(delta("half"), "[" * 100_000), UpstreamFailed, "no JSON"),
        (streamed(delta("half"), _error("CUDA out of memory")), OutOfMemory, "ran out of memory"),
        (streamed(delta("half"), _error("queue", code=503)), UpstreamBusy, 'takes no more .*"queue"'),
        (streamed(delta("half"), _error("it broke")), UpstreamFailed, 'failed with 500: "it broke"'),
        (streamed(delta("half"), json.dumps({"object": "error", "message": "old"})), UpstreamFailed, '"old"'),
        (streamed(delta("x" * (2 << 20))), UpstreamFailed, "event of more than 1 MiB"),
        (replied(200, "<html>hello</html>", "content-type: text/html"), UpstreamFailed, "'text/html' instead"),
        (replied(200, "{}", "content-type: application/json"), UpstreamFailed, "'application/json' instead"),
        (replied(200, "x", "content-type: text/event-stream", "content-encoding: gzip"), UpstreamFailed, "packs"),
        (replied(500, "<html><h1>Oops</h1></html>"), UpstreamFailed, r"failed with 500\.$"),
        (replied(500, "x" * (1 << 20)), UpstreamFailed, r"failed with 500\.$"),
        (replied(302, "", "location: http://127.0.0.1:1/"), UpstreamFailed, r"redirects \(302\)"),
        (replied(401, _error("bad key")), UpstreamFailed, r"engine\.upstream_api_key"),
        (replied(404, _error("no model")), UpstreamFailed, r"\(404\)"),
        (replied(400, _error("maximum context length is 9")), PromptTooLong, "longer than the upstream takes"),
        (replied(400, _error("big", type="exceed_context_size_error")), PromptTooLong, "longer than"),
        (replied(400, _error("no", param="top_k")), UnsupportedSampling, "refuses top_k"),
        (replied(422, json.dumps({"detail": [{"loc": ["x"]}]})), BadPrompt, "422"),
        (replied(400, _error("roles must alternate")), BadPrompt, '"roles must alternate"'),
        (replied(400, json.dumps({"error": "as Ollama says it"})), BadPrompt, '"as Ollama says it"'),
        (replied(503, _error("full")), UpstreamBusy, r"\(503\)"),
        (replied(429, _error("slow"), "retry-after: 3600"), UpstreamBusy, r"\(429\)"),
        (hung_up, UpstreamFailed, "can't be reached"),
    ],
)
async def test_each_misbehaviour_is_a_typed_error_with_one_sentence(
    turn: Turn, kind: type[EngineError], sentence: str
) -> None:
    async with upstream(turn, retries=0) as (engine, _):
        with pytest.raises(EngineError, match=sentence) as caught:
            await text_of(engine, ask(engine, "hello"))
        assert type(caught.value) is kind or (kind is UpstreamFailed and isinstance(caught.value, kind))
        assert str(caught.value).endswith((".", '".')) and "\n" not in str(caught.value)
        assert engine.stats().running == 0


async def test_an_error_that_repeats_the_prompt_or_hides_control_characters_is_not_passed_on() -> None:
    secret = "my password is hunter22"
    turns = (replied(400, _error(f"bad input: {secret}!")), replied(400, _error("red \x1b[31m\u202e text")))
    async with upstream(*turns) as (engine, _):
        with pytest.raises(BadPrompt) as caught:
            await text_of(engine, ask(engine, f"hello, {secret}, bye"))
        assert "hunter22" not in str(caught.value)
        with pytest.raises(BadPrompt, match=r"red \\x1b\[31m\\u202e text"):
            await text_of(engine, ask(engine, "hello"))


async def test_silence_is_ended() -> None:
    async def silent(_: Asked, writer: asyncio.StreamWriter) -> None:
        await open_stream(writer)
        await send(writer, delta("one"))
        await asyncio.sleep(1.0)

    async with upstream(silent, read_timeout_s=0.1) as (engine, _):
        with pytest.raises(UpstreamFailed, match="silent for too long"):
            await text_of(engine, ask(engine, "hello"))


async def test_an_answer_ends_with_its_reason_even_when_the_connection_stays_open() -> None:
    async def lingering(_: Asked, writer: asyncio.StreamWriter) -> None:
        await open_stream(writer)
        await send(writer, delta("all"), delta(finish_reason="stop"))
        await asyncio.sleep(4.0)

    async with upstream(lingering) as (engine, _):
        assert await asyncio.wait_for(text_of(engine, ask(engine, "hello")), 3.5) == "all"


async def test_the_field_for_counts_is_left_out_for_good_once_it_was_refused() -> None:
    refusal = replied(400, _error("Unknown field: stream_options"))
    async with upstream(refusal, said("a")) as (engine, told):
        assert await text_of(engine, ask(engine, "hello")) == "a"
        assert await text_of(engine, ask(engine, "hello")) == "a"
        assert ["stream_options" in asked.json() for asked in told.asked] == [True, False, False]


@pytest.mark.parametrize("turn", [replied(503, ""), replied(502, ""), replied(429, "", "retry-after: 0"), hung_up])
async def test_what_was_not_begun_is_tried_again(turn: Turn) -> None:
    async with upstream(turn, turn, said("at last")) as (engine, told):
        assert await text_of(engine, ask(engine, "hello")) == "at last"
        assert len(told.asked) == 3


@pytest.mark.parametrize(
    ("turn", "tries"),
    [
        (said("half", finish_reason=None, done=False), 1),
        (streamed(_error("busy", code=503)), 1),
        (replied(500, ""), 1),
        (replied(503, "", "retry-after: 60"), 1),
        (replied(503, ""), 3),
    ],
)
async def test_what_was_begun_or_will_take_long_is_not_tried_again(turn: Turn, tries: int) -> None:
    async with upstream(turn) as (engine, told):
        with pytest.raises(UpstreamFailed):
            await text_of(engine, ask(engine, "hello"))
        assert len(told.asked) == tries


async def test_closing_the_answer_closes_the_connection_at_once() -> None:
    closed = asyncio.Event()

    async def turn(_: Asked, writer: asyncio.StreamWriter) -> None:
        await open_stream(writer)
        try:
            while True:
                await send(writer, delta("word "))
                await asyncio.sleep(0.005)
        except ConnectionError:
            closed.set()

    async with upstream(turn) as (engine, _):
        stream = engine.generate(ask(engine, "hello", max_tokens=400))
        await anext(stream)
        await stream.aclose()  # type: ignore[attr-defined]
        assert engine.stats().running == 0
        await asyncio.wait_for(closed.wait(), 1)


async def test_the_key_is_sent_and_never_shown() -> None:
    async with upstream(said("a"), api_key="sk-secret") as (engine, told):
        await text_of(engine, ask(engine, "hello"))
        assert told.asked[0].headers["authorization"] == "Bearer sk-secret"
        assert "sk-secret" not in repr(engine._dials)


async def test_estimates_count_chinese_by_character_and_the_rest_by_bytes() -> None:
    async with upstream() as (engine, _):
        assert len(engine.encode("四个汉字")) == 4
        assert len(engine.encode("four letters of it, or so")) == 7
        assert len(engine.encode([Message("user", "你好")])) == 2 + 8


async def test_stopping_ends_what_waits_for_the_first_token() -> None:
    async def mute(_: Asked, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(2)

    async with upstream(mute) as (engine, told):
        waiting = asyncio.create_task(text_of(engine, ask(engine, "hello")))
        await until(lambda: len(told.asked) == 1)
        await engine.stop()
        with pytest.raises(EngineError, match="stopped"):
            await asyncio.wait_for(waiting, 0.5)
