"""What is no event, where it stands, and what is saved out of a damaged line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmops.store import JournalFollower, MemoryStore
from llmops.store.lines import read_lines, salvage
from tests.store.events import lines, request

NOW = 1_700_000_000.0
ONE, TWO = request(NOW, request_id="r-one"), request(NOW, request_id="r-two")


def test_bad_lines_have_their_places() -> None:
    first = lines([ONE])
    read = read_lines(first + b"garbage\n\n" + lines([TWO]))
    assert read.events == [ONE, TWO]
    assert read.bad == [len(first), len(first) + len(b"garbage\n")]


@pytest.mark.parametrize("garbage", [b"\x00" * 512, b"\xff\xfe{", b'{"half":', b'{"@timestamp":"2026', b"[[[["])
def test_garbage_between_two_events_costs_neither(garbage: bytes) -> None:
    read = read_lines(lines([ONE]).rstrip() + garbage + lines([TWO]))
    assert read.events == [ONE, TWO]
    assert read.bad == [0]


def test_two_events_whose_line_end_was_lost_are_both_saved() -> None:
    assert [json.loads(part) for part in salvage(lines([ONE]).rstrip() + lines([TWO]).rstrip())] == [ONE, TWO]


def test_text_of_a_user_that_looks_like_an_event_is_never_taken_for_one() -> None:
    forged = lines([request(NOW, request_id="forged")]).decode().rstrip()
    torn = lines([request(NOW, error_message=forged)]).rstrip()[:-20]
    assert read_lines(torn).events == []


@given(st.binary(max_size=300))
def test_any_bytes_in_the_middle_of_a_file_cost_nothing_else(garbage: bytes) -> None:
    read = read_lines(lines([ONE]) + garbage + b"\n" + lines([TWO]))
    assert [each["event.id"] for each in read.events] == [ONE["event.id"], TWO["event.id"]]


def test_a_file_without_any_event_is_told_once_and_left_alone(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    follower = JournalFollower(tmp_path, MemoryStore())
    (tmp_path / "notes.jsonl").write_bytes(b"my notes\n")
    follower.follow()
    (tmp_path / "notes.jsonl").write_bytes(b"my notes\nand more\n")
    follower.follow()
    assert caplog.messages == ["journal file notes.jsonl: no line of it is an event; it is left alone."]
