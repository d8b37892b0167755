from __future__ import annotations

import pytest

from llmops.engine.contract import Piece
from llmops.events import Event, RequestEvent
from llmops.inference.exchange import Arrival, Exchange

PATIENT = "It says this once and then something else that nobody had said before it came to an end. "
STUCK = "It says this again and again. " * 20


def _exchange(**fields: object) -> tuple[Exchange, list[Event]]:
    events: list[Event] = []
    arrival = Arrival(at=1_000.0, clock_s=10.0, request_id="r", path="/v1/chat/completions", user="u")
    return Exchange(arrival, {"request_id": "r", **fields}, events.append, "chatcmpl-1"), events


def _closed(exchange: Exchange, events: list[Event]) -> RequestEvent:
    exchange.close()
    (event,) = events
    assert isinstance(event, RequestEvent)
    return event


def test_the_gaps_between_tokens_are_exact_though_many_come_in_one_piece() -> None:
    exchange, events = _exchange()
    exchange.took(Piece(text="a", tokens=1, at=11.0, times=(11.0,)))
    exchange.took(Piece(text="bcd", tokens=3, at=11.75, times=(11.125, 11.25, 11.75)))
    exchange.took(Piece(text="e", tokens=1, at=11.8125, times=(11.8125,), finish_reason="length"))
    assert exchange.inter_token_s() == [0.125, 0.125, 0.5, 0.0625]
    event = _closed(exchange, events)
    assert (event.itl_p50_s, event.itl_p99_s, event.itl_max_s) == (0.125, 0.5, 0.5)
    assert event.ttft_s == 1.0


def test_an_engine_that_knows_no_times_of_single_tokens_counts_a_piece_as_one_moment() -> None:
    exchange, events = _exchange()
    exchange.took(Piece(text="ab", tokens=2, at=11.0))
    exchange.took(Piece(text="c", tokens=1, at=12.0, finish_reason="stop"))
    exchange.took(Piece(text="", tokens=0, at=12.5))
    assert exchange.inter_token_s() == [0.0, 1.0]
    assert _closed(exchange, events).itl_max_s == 1.0


@pytest.mark.parametrize("tokens", [0, 1])
def test_without_two_tokens_there_is_no_gap_to_tell(tokens: int) -> None:
    exchange, events = _exchange()
    exchange.took(Piece(text="", tokens=tokens, at=11.0, finish_reason="stop"))
    event = _closed(exchange, events)
    assert (exchange.inter_token_s(), event.itl_p50_s, event.itl_p99_s, event.itl_max_s) == ([], None, None, None)


def test_a_loop_and_what_stopped_the_answer_are_in_the_event() -> None:
    exchange, events = _exchange()
    exchange.took(Piece(text="a", tokens=1, at=11.0))
    exchange.took(Piece(text="a", tokens=1, at=12.0, finish_reason="stop", stopped_by="loop", loop_detected=True))
    event = _closed(exchange, events)
    assert (event.loop_detected, event.stopped_by, event.finish_reasons) == (True, "loop", ("stop",))


def test_an_answer_without_a_loop_says_so_and_a_refusal_says_nothing() -> None:
    answered, events = _exchange()
    answered.took(Piece(text="a", tokens=1, at=11.0, finish_reason="length"))
    assert _closed(answered, events).loop_detected is False
    refused, events = _exchange()
    refused.failed("queue_full", "full", 503)
    assert _closed(refused, events).loop_detected is None


@pytest.mark.parametrize(
    ("temperature", "top_p", "text", "looped", "hinted"),
    [
        (0.0, 0.92, STUCK, False, True),
        (0.8, 0.5, STUCK, False, True),
        (0.8, 1.0, STUCK, False, False),
        (1.0, None, STUCK, True, False),
        (None, None, STUCK, False, False),
        (0.0, None, PATIENT, True, True),
        (0.7, 0.9, STUCK, True, False),
        (1.0, 0.95, STUCK, True, False),
        (0.0, 1.0, PATIENT, False, False),
    ],
)
def test_a_hint_is_given_when_an_answer_repeats_itself_and_was_drawn_more_narrowly_than_the_hint_says(
    *, temperature: float | None, top_p: float | None, text: str, looped: bool, hinted: bool
) -> None:
    exchange, _ = _exchange(temperature=temperature, top_p=top_p)
    exchange.took(Piece(text=text, tokens=9, at=11.0, finish_reason="stop", loop_detected=looped))
    hint = exchange.hint()
    assert (hint is not None) == hinted
    assert hint is None or "top_p 0.9 to 0.95" in hint
    assert hint is None or ("temperature 0.7 to 1.0" in hint) == (temperature == 0.0)
