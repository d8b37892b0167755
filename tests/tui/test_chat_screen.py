from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from textual import events
from textual.pilot import Pilot
from textual.widgets import Markdown

from llmops.tui.screens.chat import ChatScreen
from llmops.tui.screens.detail import RequestDetail
from llmops.tui.terminal import LlmopsApp
from llmops.tui.widgets.prompt import Prompt
from llmops.tui.widgets.turn import Turn
from tests.client.small_server import Asked, delta, open_stream, reply, send, serving, usage
from tests.tui.worlds import app_over, settle, text_of, world


async def until(pilot: Pilot[int], holds: Callable[[], bool], timeout_s: float = 5.0) -> None:
    for _ in range(int(timeout_s / 0.02)):
        if holds():
            return
        await pilot.pause(0.02)
    raise AssertionError(text_of(pilot.app))  # type: ignore[arg-type]


async def open_chat(pilot: Pilot[int]) -> None:
    await settle(pilot)
    await pilot.press("2")
    await pilot.pause(0.05)


async def say(pilot: Pilot[int], text: str) -> None:
    pilot.app.screen.query_one(Prompt).text = text
    await pilot.press("enter")


async def answer(asked: Asked, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await open_stream(writer, "x-request-id: 0123456789abcdef")
    await send(writer, delta("Hello **wor"), delta("ld**"), delta("", "stop"), usage(7, 3), "[DONE]")


def over(url: str) -> LlmopsApp:
    return app_over(world(), url=url)


async def test_an_answer_streams_in_and_its_figures_stand_below() -> None:
    async with serving(answer) as (url, asked):
        app = over(url)
        async with app.run_test(size=(120, 30)) as pilot:
            await open_chat(pilot)
            assert "For example:" in text_of(app)
            await say(pilot, "hi")
            await until(pilot, lambda: "7 in 3 out" in text_of(app))
            text = text_of(app)
            assert "you  hi" in text
            assert "Hello world" in text
            assert "stop  r 89abcdef" in text
            assert asked[0].json()["user"] == "tui"
            await say(pilot, "and?")
            await until(pilot, lambda: len(asked) == 2)
            contents = [message["content"] for message in asked[1].json()["messages"]]
            assert contents == ["hi", "Hello **world**", "and?"]


async def test_escape_stops_the_generation_on_the_server_too() -> None:
    gone = asyncio.Event()

    async def endless(asked: Asked, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await open_stream(writer)
        await send(writer, delta("on and on"))
        assert await reader.read() == b""
        gone.set()

    async with serving(endless) as (url, _):
        app = over(url)
        async with app.run_test(size=(120, 30)) as pilot:
            await open_chat(pilot)
            await say(pilot, "hi")
            await until(pilot, lambda: "on and on" in text_of(app))
            assert not gone.is_set()
            await pilot.press("escape")
            await asyncio.wait_for(gone.wait(), 5.0)
            await until(pilot, lambda: "stopped" in text_of(app))
            assert "on and on" in text_of(app), "what there is of the answer stays"
            assert isinstance(app.screen, ChatScreen)


async def test_escape_leaves_the_prompt_then_the_screen_and_never_quits() -> None:
    async with serving(answer) as (url, _):
        app = over(url)
        async with app.run_test(size=(120, 30)) as pilot:
            await open_chat(pilot)
            await say(pilot, "hi")
            await until(pilot, lambda: "7 in 3 out" in text_of(app))
            await pilot.press("escape")
            assert isinstance(app.focused, Turn)
            await pilot.press("y")
            assert app.clipboard == "0123456789abcdef"
            await pilot.press("enter")
            assert isinstance(app.screen, RequestDetail)
            await pilot.press("escape", "j")
            assert isinstance(app.focused, Prompt)
            await pilot.press("escape", "i")
            assert isinstance(app.focused, Prompt)
            await pilot.press("escape", "escape")
            assert app.current_mode == "overview"
            await pilot.press("tab")
            assert app.current_mode == "chat"
            assert "Hello world" in text_of(app), "the conversation is still there"
            await pilot.press("escape", "1")
            assert app.current_mode == "overview"


async def test_letters_are_text_in_the_prompt_and_ctrl_j_is_a_new_line() -> None:
    app = over("http://127.0.0.1:9")
    async with app.run_test(size=(120, 30)) as pilot:
        await open_chat(pilot)
        await pilot.press(*"q1p?", "ctrl+j", *"sA/")
        assert app.screen.query_one(Prompt).text == "q1p?\nsA/"
        assert app.current_mode == "chat"
        assert not app.session.paused


async def refuse(asked: Asked, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    body = '{"error": {"message": "The queue is full.", "type": "overloaded", "code": "queue_full"}}'
    await reply(writer, 503, body, "retry-after: 2")


async def break_off(asked: Asked, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await open_stream(writer)
    await send(writer, delta("half an ans"))


async def told(script: Callable[[Asked, asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]) -> str:
    async with serving(script) as (url, _):
        app = over(url)
        async with app.run_test(size=(120, 60)) as pilot:
            await open_chat(pilot)
            await say(pilot, "hi")
            screen = app.screen
            assert isinstance(screen, ChatScreen)
            await until(pilot, lambda: bool(screen.query(Turn)) and not screen.answering)
            await pilot.pause(0.05)
            return text_of(app)


async def test_a_refusal_is_a_sentence_with_the_time_to_come_back() -> None:
    assert "Refused: The queue is full (503 queue_full). Try again in 2 s." in await told(refuse)


async def test_an_answer_that_breaks_off_keeps_what_came() -> None:
    text = await told(break_off)
    assert "half an ans" in text
    assert "broke off" in text


async def test_no_serve_is_a_sentence_that_says_what_to_do() -> None:
    app = over("http://127.0.0.1:9")
    async with app.run_test(size=(120, 30)) as pilot:
        await open_chat(pilot)
        await say(pilot, "hi")
        await until(pilot, lambda: "Is llmops serve running?" in text_of(app))


async def test_what_the_model_writes_is_never_obeyed() -> None:
    async def hostile(asked: Asked, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await open_stream(writer)
        await send(writer, delta("\x1b"), delta("]0;owned\x07 <b>html</b> [bold red]x[/] "))
        await send(
            writer, delta("[click](http://evil.example/\u202e)\n\n" + "> " * 400 + "deep"), delta("", "stop"), "[DONE]"
        )

    text = await told(hostile)
    assert not any(character in text for character in "\x1b\x07\u202e")
    assert "<b>html</b>" in text
    assert "[bold red]x[/]" in text


async def test_a_link_is_shown_and_not_opened() -> None:
    async with serving(answer) as (url, _):
        app = over(url)
        opened: list[str] = []
        app.open_url = opened.append  # type: ignore[method-assign, assignment]
        async with app.run_test(size=(120, 30), notifications=True) as pilot:
            await open_chat(pilot)
            await say(pilot, "hi")
            await until(pilot, lambda: "7 in 3 out" in text_of(app))
            markdown = app.screen.query_one(Turn).query_one(Markdown)
            markdown.post_message(Markdown.LinkClicked(markdown, "http://evil.example/[bold]"))
            await until(pilot, lambda: "Link, not opened: http://evil.example/[bold]" in text_of(app))
            assert opened == []


async def test_ctrl_n_begins_anew() -> None:
    async with serving(answer) as (url, asked):
        app = over(url)
        async with app.run_test(size=(120, 30)) as pilot:
            await open_chat(pilot)
            await say(pilot, "hi")
            await until(pilot, lambda: "7 in 3 out" in text_of(app))
            await pilot.press("ctrl+n")
            await until(pilot, lambda: "For example:" in text_of(app) and "Hello" not in text_of(app))
            await say(pilot, "again")
            await until(pilot, lambda: len(asked) == 2)
            assert len(asked[1].json()["messages"]) == 1


async def test_a_second_question_waits_for_the_first_answer() -> None:
    release = asyncio.Event()

    async def slow(asked: Asked, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await open_stream(writer)
        await send(writer, delta("slow"))
        await release.wait()
        await send(writer, delta("", "stop"), "[DONE]")

    async with serving(slow) as (url, asked):
        app = over(url)
        async with app.run_test(size=(120, 30), notifications=True) as pilot:
            await open_chat(pilot)
            await say(pilot, "hi")
            await until(pilot, lambda: "slow" in text_of(app))
            await say(pilot, "me too")
            await until(pilot, lambda: "Esc stops it" in text_of(app))
            assert app.screen.query_one(Prompt).text == "me too", "what was written is kept"
            release.set()
            await until(pilot, lambda: not app.screen.answering)  # type: ignore[attr-defined]
            assert len(asked) == 1


async def test_what_is_typed_right_behind_enter_is_the_next_message_and_not_lost() -> None:
    async with serving(answer) as (url, _):
        app = over(url)
        async with app.run_test(size=(120, 30)) as pilot:
            await open_chat(pilot)
            for key in ("h", "i", "enter", "y", "o"):
                app.post_message(events.Key(key, key if len(key) == 1 else "\r"))
            await until(pilot, lambda: "7 in 3 out" in text_of(app))
            assert app.screen.query_one(Turn).exchange.question == "hi"
            assert app.screen.query_one(Prompt).text == "yo"
