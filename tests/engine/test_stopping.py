from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from llmops.engine.stopping import StopMatcher

SMALL = st.text(alphabet="ab\n", max_size=12)


def _run(stops: list[str], pieces: list[str]) -> tuple[str, bool]:
    matcher = StopMatcher(stops)
    shown = "".join(matcher.feed(piece) for piece in pieces)
    return shown + matcher.flush(), matcher.matched


@given(st.lists(SMALL.filter(bool), max_size=4), st.lists(SMALL))
def test_however_the_text_is_cut_the_answer_ends_before_the_first_stop_string(
    stops: list[str], pieces: list[str]
) -> None:
    shown, matched = _run(stops, pieces)
    whole = "".join(pieces)
    assert whole.startswith(shown)
    assert matched == any(stop in whole for stop in stops)
    assert not any(stop in shown for stop in stops)
    if not matched:
        assert shown == whole


def test_the_beginning_of_a_stop_string_is_held_back_until_it_is_something_else() -> None:
    matcher = StopMatcher(["###"])
    assert matcher.feed("hello #") == "hello "
    assert matcher.feed("#") == ""
    assert matcher.feed(" title") == "## title"


def test_after_a_match_nothing_more_is_shown() -> None:
    matcher = StopMatcher(["END"])
    assert matcher.feed("so EN") == "so "
    assert matcher.feed("D and more") == ""
    assert matcher.feed("more") == ""
    assert matcher.flush() == ""
