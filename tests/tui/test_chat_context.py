from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from llmops.client import ChatOptions, ChatTiming, RequestRefused
from llmops.events.snapshot import ModelSnapshot, RequestDefaults
from llmops.overview import Overview
from llmops.tui.conversation import Conversation
from llmops.tui.terminal import LlmopsApp
from llmops.tui.widgets.prompt import Prompt
from llmops.tui.widgets.turn import Turn
from llmops.tui.window import Context
from tests.client.small_server import Asked, Script, delta, open_stream, reply, send, serving, usage
from tests.tui.test_chat_screen import open_chat, say, until
from tests.tui.worlds import app_over, snapshot, text_of, world

LIMIT = 120


def tokens_in(messages: list[dict[str, str]]) -> int:
    return sum(4 + len(message["content"].split()) for message in messages)


def counting(limit: int = LIMIT, answer: str = "word " * 15) -> Script:
    """A server whose tokens are words, and whose context is short."""

    async def script(asked: Asked, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        body = asked.json()
        holds, room = tokens_in(body["messages"]), limit - tokens_in(body["messages"])
        if room < 1 or body.get("max_tokens", 1) > room:
            message = f"messages holds {holds} tokens and the model's context is {limit}: shorten messages."
            code = "context_length_exceeded"
            await reply(writer, 400, json.dumps({"error": {"message": message, "type": "invalid", "code": code}}))
            return
        words = answer.split()[: min(room, body.get("max_tokens", 1 << 20))]
        finish = "stop" if len(words) == len(answer.split()) else "length"
        await open_stream(writer, "x-request-id: 0123456789abcdef")
        await send(writer, delta(" ".join(words)), delta("", finish), usage(holds, len(words)), "[DONE]")

    return script


def over(url: str, limit: int | None = LIMIT, language: Any = "en") -> LlmopsApp:
    return app_over(known(limit), url=url, language=language)


def known(limit: int | None) -> Overview:
    model = ModelSnapshot(id="some/model", version="1", engine="echo", max_model_len=limit)
    return world(serve=snapshot(model=model, defaults=RequestDefaults(max_tokens=40, temperature=0.7, top_p=0.95)))


async def answered(pilot: Any, text: str) -> Turn:
    count = len(pilot.app.screen.query(Turn))
    await say(pilot, text)
    await until(pilot, lambda: len(pilot.app.screen.query(Turn)) == count + 1 and not pilot.app.screen.answering)
    await pilot.pause(0.02)
    turns: list[Turn] = list(pilot.app.screen.query(Turn))
    return turns[-1]


@pytest.mark.parametrize("limit", [LIMIT, None])
async def test_a_conversation_goes_on_past_the_end_of_the_context_and_says_what_it_leaves_out(
    limit: int | None,
) -> None:
    async with serving(counting()) as (url, asked):
        app = over(url, limit)
        async with app.run_test(size=(120, 60)) as pilot:
            await open_chat(pilot)
            await say(pilot, "/system Be brief.")
            for number in range(9):
                turn = await answered(pilot, f"question number {number} with some more words behind it")
                assert turn.exchange.error is None
            turn = await answered(pilot, "hello?")
            assert (turn.exchange.error, turn.exchange.answer) == (None, ("word " * 15).strip())
            transcript = " ".join(str(each.render()) for each in app.screen.query(".notice"))
            assert "The model no longer sees the " in transcript
            assert f"its context of {LIMIT} tokens" in transcript
            assert ("nears the end" in transcript) == (limit is not None)
    sent = [each.json()["messages"] for each in asked]
    assert all(messages[0] == {"role": "system", "content": "Be brief."} for messages in sent)
    assert sent[-1][-1]["content"] == "hello?"
    assert len(sent) == 10 or limit is None, "where the context is known, nothing is refused"
    if limit is not None:
        assert all(LIMIT - tokens_in(messages) >= 15 for messages in sent), "an answer always has room"


async def test_a_message_that_is_too_long_alone_gets_one_sentence_that_says_by_how_much() -> None:
    async with serving(counting()) as (url, asked):
        app = over(url)
        async with app.run_test(size=(120, 40)) as pilot:
            await open_chat(pilot)
            turn = await answered(pilot, "so " * 200)
            assert turn.exchange.error == (
                f"This message is {204 - LIMIT + 1} tokens too long: with the system prompt it has 204, and the model "
                f"takes {LIMIT} for question and answer. Shorten it."
            )
            assert app.screen.query_one(Prompt).text == ("so " * 200).strip(), "it can be shortened"
            app.screen.query_one(Prompt).text = ""
            assert (await answered(pilot, "hello?")).exchange.answer
    assert len(asked) == 2


async def test_a_longer_answer_than_fits_is_asked_for_as_long_as_it_fits() -> None:
    async with serving(counting(answer="word " * 300)) as (url, asked):
        app = over(url)
        async with app.run_test(size=(120, 40)) as pilot:
            await open_chat(pilot)
            await say(pilot, "/max_tokens 5000")
            turn = await answered(pilot, "hello?")
            assert turn.exchange.error is None
            assert "The answer may have 115 tokens at most" in text_of(app)
            assert "the model's context of 120 tokens is full" in text_of(app)
    assert [each.json()["max_tokens"] for each in asked] == [5000, 115]


async def test_an_answer_that_was_cut_says_so() -> None:
    async with serving(counting()) as (url, _):
        app = over(url)
        async with app.run_test(size=(120, 40)) as pilot:
            await open_chat(pilot)
            await say(pilot, "/max_tokens 5")
            await answered(pilot, "hello?")
            assert "The answer was cut off at its limit of 5 tokens. /max_tokens sets another limit." in text_of(app)


async def test_what_holds_is_on_the_screen_and_commands_change_it() -> None:
    async with serving(counting()) as (url, asked):
        app = over(url)
        async with app.run_test(size=(120, 40)) as pilot:
            await open_chat(pilot)
            assert "context 0/120  temperature 0.7 (server)  top_p 0.95 (server)" in text_of(app)
            for command in ("/system Talk like\na pirate", "/temperature 0.2", "/top_p 0.5", "/top_k 7", "/seed 3"):
                await say(pilot, command)
            await answered(pilot, "hello?")
            assert "context 28/120  system prompt: Talk like a pirate  temperature 0.2  top_p 0.5  top_k 7" in text_of(
                app
            )
            await say(pilot, "/temperature default")
            await say(pilot, "/system off")
            await answered(pilot, "//etc is a folder")
            await say(pilot, "/settings")
            await until(pilot, lambda: "system prompt: none" in text_of(app))
    first, second = (each.json() for each in asked)
    assert {name: first[name] for name in ("temperature", "top_p", "top_k", "seed")} == {
        "temperature": 0.2,
        "top_p": 0.5,
        "top_k": 7,
        "seed": 3,
    }
    assert first["messages"][0] == {"role": "system", "content": "Talk like\na pirate"}
    assert "temperature" not in second
    assert (second["messages"][0]["role"], second["messages"][-1]["content"]) == ("user", "/etc is a folder")


@pytest.mark.parametrize(
    ("command", "sentence"),
    [
        ("/temperature warm", "temperature must be a number from 0 to 2, not warm."),
        ("/temperature 2.5", "temperature must be a number from 0 to 2, not 2.5."),
        ("/temperature nan", "temperature must be a number from 0 to 2, not nan."),
        ("/top_p 0", "top_p must be a number above 0 and at most 1, not 0."),
        ("/top_k 1.5", "top_k must be a whole number from 1 to 2147483647, not 1.5."),
        ("/max_tokens -1", "max_tokens must be a whole number from 1 to 2147483647, not -1."),
        ("/temprature 1", "There is no command /temprature. Did you mean /temperature?"),
    ],
)
async def test_a_command_that_can_not_be_done_is_one_sentence_and_nothing_is_sent(command: str, sentence: str) -> None:
    async with serving(counting()) as (url, asked):
        app = over(url)
        async with app.run_test(size=(140, 40)) as pilot:
            await open_chat(pilot)
            await say(pilot, command)
            await until(pilot, lambda: sentence in text_of(app))
    assert asked == []


@pytest.mark.parametrize(
    ("language", "words"), [("en", "text that stands before the conversation"), ("zh", "置于对话之前的文本")]
)
async def test_commands_are_explained_in_both_languages(language: str, words: str) -> None:
    app = over("http://127.0.0.1:9", language=language)
    async with app.run_test(size=(120, 60)) as pilot:
        await open_chat(pilot)
        await say(pilot, "/help")
        await until(pilot, lambda: words in text_of(app))


def _counted(conversation: Conversation, question: str, answer: str, tokens: int) -> None:
    exchange = conversation.ask(question)
    conversation.fit(Context(limit=1000, default_max_tokens=100))
    exchange.answer = answer
    exchange.timing = ChatTiming(ttft_s=None, tpot_s=None, itl_s=(), e2e_s=1, tokens=20, input_tokens=tokens - 20)


def test_true_counts_win_over_estimates() -> None:
    conversation = Conversation(ChatOptions(system="s"))
    _counted(conversation, "a few letters", "short", tokens=700)
    conversation.ask("hello?")
    conversation.fit(Context(limit=1000, default_max_tokens=100))
    assert conversation.first == 0
    _counted(conversation, "hello?", "short", tokens=895)
    conversation.ask("a question that no longer fits beside what was counted before it")
    conversation.fit(Context(limit=1000, default_max_tokens=100))
    assert conversation.first > 0


def test_another_refusal_than_that_of_the_length_is_told_as_it_is() -> None:
    conversation = Conversation()
    conversation.ask("hello?")
    assert not conversation.shorten(RequestRefused(503, "queue_full", "messages holds 9 tokens, context is 3"))
    assert conversation.shorten(RequestRefused(400, "context_length_exceeded", "too long")) is False
