from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmops.client import ChatTiming, RequestRefused, ServeUnreachable
from llmops.tui.conversation import Conversation, figures, sentence
from llmops.tui.history import History, pool
from llmops.tui.keys import KEYMAP, UnknownAction, checked, told
from llmops.tui.language import _STRINGS, Words, choose
from llmops.tui.layout import SHED_ORDER, fit
from llmops.tui.numbers import bar, fixed, gibibytes, milliseconds, span
from llmops.tui.theme import THEMES, known_theme, next_theme
from llmops.tui.widgets.braille import braille, nice_top
from llmops.tui.widgets.device import memory_style
from llmops.tui.widgets.strip import stale_s
from tests.tui.worlds import NOW, later, snapshot, world


def test_after_the_clock_was_set_back_the_charts_go_on() -> None:
    history = History()
    history.add(later(world(), 10.0))
    history.add(later(world(), 11.0))
    history.add(later(world(), 12.0 - 3600.0))
    history.add(later(world(), 13.0 - 3600.0))
    assert [at - NOW for at, _ in history.tokens_per_s.points()][-2:] == [12.0 - 3600.0, 13.0 - 3600.0]
    assert not history.restarted(NOW - 3600.0)


@given(st.floats(allow_nan=True, allow_infinity=True), st.integers(4, 12), st.integers(0, 3))
def test_a_number_always_fills_its_width(value: float, width: int, decimals: int) -> None:
    assert len(fixed(value, width, decimals)) == width


def test_numbers_say_missing_and_shorten_what_is_too_long() -> None:
    assert fixed(None, 5) == "   --"
    assert fixed(12.345, 6, 2) == " 12.35"
    assert fixed(123456.7, 5, 2) == " 123k"
    assert milliseconds(0.0625) == "    62"
    assert gibibytes(2**31) == "  2.0"
    assert [span(5), span(65), span(3600), span(100000)] == ["5 s", "1 min 5 s", "1 h", "1 d 3 h"]
    assert bar(0.5, 4) == "██··"
    assert bar(None, 3) == "···"


def test_a_peak_survives_resampling() -> None:
    points = [(float(i), 0.0) for i in range(300)]
    points[137] = (137.0, 99.0)
    assert max(value or 0.0 for value in pool(points, 0.0, 300.0, 20, 1.0)) == 99.0


def test_a_point_stands_for_its_step_and_the_rest_is_a_gap() -> None:
    assert pool([(5.0, 1.0)], 0.0, 10.0, 10, 2.0) == [None] * 5 + [1.0, 1.0] + [None] * 3


def test_the_line_joins_its_points() -> None:
    assert braille([0.0, 1.0], 1, 1.0) == ["⡸"]
    assert braille([None, None], 2, 1.0) == ["⠀", "⠀"]
    assert [nice_top(value) for value in (0.0, 1.0, 1.1, 3.0, 99.0)] == pytest.approx([1.0, 1.0, 2.0, 5.0, 100.0])


@given(st.integers(20, 200), st.integers(5, 80))
def test_panels_go_in_a_fixed_order(width: int, height: int) -> None:
    panels = fit(width, height).panels
    assert panels == frozenset(SHED_ORDER[len(SHED_ORDER) - len(panels) :])


def test_a_terminal_of_the_designed_size_shows_all_and_the_small_one_the_essentials() -> None:
    assert fit(120, 30).panels == frozenset(SHED_ORDER)
    assert fit(80, 24).panels == {"alerts", "throughput", "device"}


def test_every_string_exists_in_both_languages_with_the_same_values() -> None:
    import string

    for name, (english, chinese) in _STRINGS.items():
        fields = [{field for _, field, _, _ in string.Formatter().parse(text) if field} for text in (english, chinese)]
        assert fields[0] == fields[1], name
        assert english and chinese


def test_every_key_is_explained() -> None:
    shown = [key for key in KEYMAP if key.scope != "dialog"]
    assert all(Words("en").knows(f"key.{key.action}") for key in shown)
    assert [told(key, {"quit": "ctrl+x"}) for key in KEYMAP[:2]] == ["Ctrl-X", "?"]


def test_a_changed_key_must_have_an_action() -> None:
    assert checked({"quit": "ctrl+x"}) == {"quit": "ctrl+x"}
    with pytest.raises(UnknownAction, match="no action named explode"):
        checked({"explode": "x"})


def test_the_locale_chooses_the_language_unless_the_settings_do() -> None:
    assert [choose("auto", "zh_CN.UTF-8"), choose("auto", "C"), choose("en", "zh_CN")] == ["zh", "en", "en"]


def test_the_themes_go_round() -> None:
    names = [THEMES[0].name]
    for _ in THEMES:
        names.append(next_theme(names[-1]))
    assert names[0] == names[-1]
    assert known_theme("nonsense") == THEMES[0].name


def test_the_history_starts_with_the_record_and_notices_a_restart() -> None:
    history = History()
    history.add(world())
    assert len(history.tokens_per_s.points()) == 61
    assert not history.restarted(NOW)
    history.add(later(world(), 1, serve=snapshot(instance_id="i-2")))
    assert history.restarted(NOW + 2)
    assert not history.restarted(NOW + 1000)


def test_data_is_stale_when_no_look_comes_or_nobody_writes() -> None:
    assert stale_s(world(), NOW, 1.0, NOW + 2) is None
    assert stale_s(world(), NOW, 1.0, NOW + 9) == 9
    assert stale_s(world(record_age_s=40.0), NOW, 1.0, NOW) == 40.0


def test_memory_is_red_only_when_the_next_request_may_not_fit() -> None:
    assert [memory_style(ratio) for ratio in (None, 0.5, 0.85)] == ["$secondary", "$secondary", "$warning"]
    assert "error" in memory_style(0.95)


def test_the_model_sees_what_was_answered_and_the_open_question() -> None:
    talk = Conversation()
    talk.ask("one").answer = "eins"
    talk.ask("two").error = "refused"
    talk.ask("three")
    assert [message["content"] for message in talk.messages()] == ["one", "eins", "three"]


def test_figures_are_estimates_until_serve_has_counted() -> None:
    timing = ChatTiming(ttft_s=0.1, tpot_s=0.02, itl_s=(), e2e_s=1.0, tokens=46, request_id="abcdefgh12345678")
    running = figures(timing, Words("en"), stopped=False, running=True)
    assert running == "TTFT 100 ms  ~50.0 tok/s  -- in ~46 out  ...  r 12345678"
    assert "stopped" in figures(timing, Words("en"), stopped=True, running=False)


def test_an_error_is_a_sentence() -> None:
    words = Words("en")
    refused = sentence(RequestRefused(503, "queue_full", "The queue is full.", 2.0), words)
    assert refused == "Refused: The queue is full (503 queue_full). Try again in 2 s."
    assert "llmops serve" in sentence(ServeUnreachable("http://x", "nothing listens there"), words)
    assert "odd" in sentence(RuntimeError("odd"), words)
