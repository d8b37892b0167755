from __future__ import annotations

import dataclasses

import pytest
from textual.widgets import Input

from llmops.tui.messages import FeedFailed, Looked
from llmops.tui.screens.detail import RequestDetail
from llmops.tui.screens.help import AlertsDialog, HelpDialog
from llmops.tui.widgets.requests import RequestsTable
from tests.tui.worlds import (
    ALERT,
    BENCHMARK,
    CHIP,
    app_over,
    later,
    request_document,
    row,
    settle,
    snapshot,
    text_of,
    world,
)


def test_of_two_waiting_looks_only_the_newer_matters() -> None:
    older, newer = Looked(world(), 0.0), Looked(world(), 0.0)
    assert older.can_replace(newer)
    assert not older.can_replace(FeedFailed("x"))


async def test_the_screen_shows_what_the_feed_posts() -> None:
    app = app_over(world(benchmarks=(BENCHMARK,), alerts=(ALERT,)))
    async with app.run_test(size=(120, 30)) as pilot:
        await settle(pilot)
        text = text_of(app)
        for expected in ("READY", "model@3f2a1b9c", "99.98% 3 of 14", "5/100", "2/16", "12.5 tok/s"):
            assert expected in text
        for expected in ("A card", "25%", "P99  2.50", "FIRING  GPU memory", "90 % used", "88.0 tok/s", "est-0002"):
            assert expected in text
        await settle(pilot, later(world(rows=4, output_tokens_per_s=77.7), 1))
        assert "77.7" in text_of(app)
        assert app.screen.query_one(RequestsTable).row_count == 4


async def test_a_small_terminal_sheds_panels_and_a_large_one_brings_them_back() -> None:
    app = app_over(world(benchmarks=(BENCHMARK,), alerts=(ALERT,)))
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        visible = {name for name in ("device", "throughput", "latency", "alerts", "benchmark") if shown(app, name)}
        assert visible == {"device", "throughput", "alerts"}
        assert all(len(line) <= 80 for line in text_of(app).splitlines())
        assert "alerts 1" in text_of(app)
        await pilot.resize_terminal(60, 12)
        await pilot.pause()
        assert not any(shown(app, name) for name in ("device", "throughput", "latency", "alerts", "benchmark"))
        assert "READY" in text_of(app)
        await pilot.resize_terminal(120, 30)
        await pilot.pause()
        assert all(shown(app, name) for name in ("device", "throughput", "latency", "alerts", "benchmark"))


def shown(app: object, name: str) -> bool:
    from llmops.tui.terminal import LlmopsApp

    assert isinstance(app, LlmopsApp)
    widget = app.screen.query_one(f"#{name}")
    return widget.display and all(parent.display for parent in widget.ancestors_with_self if hasattr(parent, "display"))


async def test_panels_with_nothing_to_say_are_hidden() -> None:
    app = app_over(world())
    async with app.run_test(size=(120, 30)) as pilot:
        await settle(pilot)
        assert not shown(app, "alerts")
        assert not shown(app, "benchmark")


async def test_an_empty_screen_says_what_to_do() -> None:
    app = app_over(world(rows=0))
    async with app.run_test(size=(120, 30)) as pilot:
        await settle(pilot)
        assert "press 2 and say hello, or run  llmops chat -m hello" in text_of(app)
        await settle(pilot, later(world(rows=0, recorded=False, reason="record_missing"), 1))
        assert "run  llmops watch" in text_of(app)
        assert "NO RECORD" in text_of(app)


async def test_missing_numbers_are_dashes_and_a_dead_serve_is_named() -> None:
    gone = world(serve=None, output_tokens_per_s=None, devices=(), reason="serve_unreachable", slo=())
    app = app_over(gone)
    async with app.run_test(size=(120, 30)) as pilot:
        await settle(pilot)
        text = text_of(app)
        assert "SERVE DOWN" in text
        assert "--/--" in text
        assert "-- tok/s" in text


async def test_badges_tell_of_a_restart_of_old_data_and_of_the_demo_model() -> None:
    model = dataclasses.replace(snapshot().model, is_demo=True)
    app = app_over(world())
    async with app.run_test(size=(120, 30)) as pilot:
        await settle(pilot)
        assert "RESTARTED" not in text_of(app)
        await settle(pilot, later(world(serve=snapshot(instance_id="i-2", model=model), record_age_s=99.0), 2))
        text = text_of(app)
        assert "RESTARTED" in text
        assert "STALE 1 min 39 s" in text
        assert "DEMO MODEL" in text


async def test_rows_are_diffed_and_the_cursor_stays_on_its_request() -> None:
    app = app_over(world(rows=5))
    async with app.run_test(size=(120, 30)) as pilot:
        await settle(pilot)
        table = app.screen.query_one(RequestsTable)
        assert table.cursor_key() == "e4"
        await settle(pilot, later(world(rows=6), 1))
        assert table.cursor_key() == "e5", "at the top it follows the newest"
        await pilot.press("j", "j")
        assert table.cursor_key() == "e3"
        await settle(pilot, later(world(requests=tuple(row(number) for number in range(8, 1, -1))), 2))
        assert table.cursor_key() == "e3"
        assert table.row_count == 7


async def test_keys_move_sort_filter_and_open() -> None:
    documents = [request_document(1.7e9, request_id="request-0002", queue_s=0.1, prefill_s=0.2, decode_s=0.3)]
    app = app_over(world(rows=5), documents=documents)
    async with app.run_test(size=(120, 30)) as pilot:
        await settle(pilot)
        table = app.screen.query_one(RequestsTable)
        await pilot.press("G")
        assert table.cursor_key() == "e0"
        await pilot.press("k")
        assert table.cursor_key() == "e1"
        await pilot.press("g")
        assert table.cursor_key() == "e4"
        await pilot.press("s")
        assert "Requests by seconds" in text_of(app)
        await pilot.press("slash", *"0002", "enter")
        assert table.row_count == 1
        assert "1 of 5 match 0002" in text_of(app)
        await pilot.press("enter")
        await pilot.pause(0.1)
        assert isinstance(app.screen, RequestDetail)
        assert "queue 100 ms, prefill 200 ms, decode 300 ms" in text_of(app)
        assert "http.request.id" in text_of(app)
        await pilot.press("escape")
        await pilot.press("escape")
        assert table.row_count == 5, "Esc drops the filter"
        await pilot.press("escape", "escape")
        assert app.is_running, "Esc never quits"


async def test_an_unknown_request_is_looked_for_again() -> None:
    app = app_over(world(rows=1))
    async with app.run_test(size=(120, 30)) as pilot:
        await settle(pilot)
        await pilot.press("enter")
        await pilot.pause(0.1)
        assert "The record has no request request-0000" in text_of(app)


async def test_dialogs_open_and_close() -> None:
    app = app_over(world(alerts=(dataclasses.replace(ALERT, exemplars=("request-0001",)),)))
    async with app.run_test(size=(120, 30)) as pilot:
        await settle(pilot)
        await pilot.press("question_mark")
        assert isinstance(app.screen, HelpDialog)
        assert "command palette" in text_of(app)
        await pilot.press("q")
        assert app.is_running
        await pilot.press("A")
        assert isinstance(app.screen, AlertsDialog)
        assert "Enter in the requests list" in text_of(app)
        assert "request-0001" in text_of(app)
        await pilot.press("escape", "ctrl+p")
        assert type(app.screen).__name__ == "CommandPalette"
        await pilot.press("escape", "q")
    assert not app.is_running


async def test_pause_holds_the_view_while_collection_goes_on() -> None:
    app = app_over(world())
    async with app.run_test(size=(120, 30)) as pilot:
        await settle(pilot)
        await pilot.press("p")
        await settle(pilot, later(world(output_tokens_per_s=43.2), 5))
        assert "43.2" not in text_of(app)
        assert "PAUSED" in text_of(app)
        assert app.session.history.tokens_per_s.points()[-1] == (world().at + 5, 43.2)
        await pilot.press("p")
        await pilot.pause(0.1)
        assert "PAUSED" not in text_of(app)


async def test_refresh_theme_and_copy() -> None:
    app = app_over(world(), refresh_s=1.0)
    async with app.run_test(size=(120, 30)) as pilot:
        await settle(pilot)
        await pilot.press("minus")
        assert app.session.refresh_s == 2.0
        await pilot.press("plus", "plus")
        assert app.session.refresh_s == 0.5
        before = app.theme
        await pilot.press("t")
        assert app.theme != before
        await pilot.press("y")
        assert app.clipboard == "request-0002"


async def test_single_letters_do_not_fire_while_a_filter_is_written() -> None:
    app = app_over(world())
    async with app.run_test(size=(120, 30)) as pilot:
        await settle(pilot)
        await pilot.press("slash", *"qptsyA12j")
        assert app.is_running
        assert not app.session.paused
        assert app.screen.query_one("#filter", Input).value == "qptsyA12j"


async def test_the_settings_change_keys() -> None:
    app = app_over(world(), keys={"pause": "x"})
    async with app.run_test(size=(120, 30)) as pilot:
        await settle(pilot)
        assert "x pause" in text_of(app)
        await pilot.press("p")
        assert not app.session.paused
        await pilot.press("x")
        assert app.session.paused


async def test_hostile_text_never_reaches_the_terminal_raw() -> None:
    evil = "\x1b]0;owned\x07\x9b31m[bold red]x[/][@click=app.quit]y\u202e"
    bad = row(9, user=evil, error_type=evil, outcome="failure", request_id=evil)
    alert = dataclasses.replace(ALERT, name=evil, reason=evil)
    app = app_over(
        world(requests=(bad,), alerts=(alert,), slo=(dataclasses.replace(CHIP, name=evil),)),
        documents=[request_document(1.7e9, request_id=evil, error_message=evil)],
    )
    async with app.run_test(size=(120, 30)) as pilot:
        await settle(pilot)
        for _ in range(2):
            text = text_of(app)
            assert not any(character in text for character in "\x1b\x07\x9b\u202e")
            assert "[bold" in text, "markup is text"
            await pilot.press("enter")
            await pilot.pause(0.1)
        assert isinstance(app.screen, RequestDetail)


async def test_it_speaks_chinese() -> None:
    app = app_over(world(rows=0), language="zh")
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        for expected in ("就绪", "可用", "还没有请求", "q 退出"):
            assert expected in text_of(app)


async def test_a_feed_that_fails_says_so_and_the_screen_lives() -> None:
    class Broken:
        def look(self, now: float) -> object:
            raise OSError("disk \x1b[31m gone")

        def request(self, request_id: str) -> list[object]:
            return []

        def close(self) -> None: ...

    app = app_over()
    app._feed._feed = Broken()  # type: ignore[assignment]
    async with app.run_test(size=(120, 30)) as pilot:
        await pilot.pause(0.1)
        assert "The store could not be read: disk ␛[31m gone" in text_of(app)


async def test_without_colour_every_word_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    app = app_over(world(alerts=(ALERT,)))
    assert app.no_color
    async with app.run_test(size=(120, 30)) as pilot:
        await settle(pilot)
        assert "READY" in text_of(app)
        assert "FIRING" in text_of(app)


async def test_a_picture_of_the_screen_has_the_keys_on_it() -> None:
    app = app_over(world())
    async with app.run_test(size=(120, 30)) as pilot:
        await settle(pilot)
        picture = app.export_screenshot()
    assert picture.startswith("<svg")
    for label in ("quit", "help", "overview", "chat", "pause", "filter"):
        assert label in picture
