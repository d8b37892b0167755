from __future__ import annotations

import logging

import httpx
import pytest

from tests.api.running import running

CHAT = "/v1/chat/completions"
STUCK = {"messages": [{"role": "user", "content": "again " * 150}], "max_tokens": 250, "temperature": 0.2}


async def test_a_request_may_ask_that_its_loops_are_ended() -> None:
    async with running() as server, httpx.AsyncClient(timeout=30) as http:
        on, off = [
            (await http.post(server.url + CHAT, json={**STUCK, "stop_loops": on})).json() for on in (True, False)
        ]
        assert (on["choices"][0]["finish_reason"], on["usage"]["completion_tokens"]) == ("stop", 192)
        assert (off["choices"][0]["finish_reason"], off["usage"]["completion_tokens"]) == ("length", 250)
        events = await server.settled(2)
        assert [(event.stopped_by, event.loop_detected) for event in events] == [("loop", True), (None, True)]


async def test_the_hint_is_in_the_log_and_in_the_header_of_a_whole_answer(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    async with running() as server, httpx.AsyncClient(timeout=30) as http:
        stuck = await http.post(server.url + CHAT, json=STUCK)
        fine = await http.post(server.url + CHAT, json={"messages": [{"role": "user", "content": "one two"}]})
    assert "try temperature 0.7 to 1.0 and top_p 0.9 to 0.95" in stuck.headers["x-llmops-hint"]
    assert "x-llmops-hint" not in fine.headers
    assert [
        stuck.headers["x-request-id"] in message for message in caplog.messages if "try temperature" in message
    ] == [True]


@pytest.mark.parametrize("wrong", ["yes please", 7])
async def test_stop_loops_is_yes_or_no(wrong: object) -> None:
    async with running() as server, httpx.AsyncClient() as http:
        answer = await http.post(server.url + CHAT, json={**STUCK, "stop_loops": wrong})
        assert (answer.status_code, answer.json()["error"]["param"]) == (400, "stop_loops")
