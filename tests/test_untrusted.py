"""Text from users and models cannot move a cursor, forge a line or break a log."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmops.untrusted import spelled_out, with_markup, without_markup


def test_escapes_are_spelled_out_and_all_that_can_be_read_stays() -> None:
    assert spelled_out("\x1b[31mred\x1b[0m\r\n你好 🙂") == r"\x1b[31mred\x1b[0m\r\n你好 🙂"
    assert spelled_out("abc\u202etxt.exe\u2028\x9b\ud800") == r"abc\u202etxt.exe\u2028\x9b\ud800"


@given(st.text())
def test_any_text_becomes_one_printable_line(text: str) -> None:
    safe = spelled_out(text)
    assert len(safe.splitlines()) <= 1
    assert "\x1b" not in safe
    safe.encode("utf-8")
    assert spelled_out(safe) == safe


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("@everyone <!channel> [x](http://evil.example)", "＠everyone ＜!channel＞ ［x］(http：//evil․example)"),
        ("*b* _i_ __u__ ~s~ `c` # h | t", "＊b＊ ＿i＿ ＿＿u＿＿ ～s～ ｀c｀ ＃ h ｜ t"),
        ("evil.com:80 10.0.0.1 mailto:a :skull:", "evil․com:80 10․0․0․1 mailto：a ：skull:"),
        ("(met)all(met)", "（met)all(met)"),
        ("a\r\nb \x1b[31m \u202ec @\u200ball", "a b ␛［31m \ufffdc ＠all"),
    ],
)
def test_no_chat_finds_markup_a_mention_or_a_link(text: str, shown: str) -> None:
    assert without_markup(text) == shown


@pytest.mark.parametrize(
    "text",
    [
        "req_abc-1.2",
        "Qwen2.5-7B-Instruct",
        "20.5 GiB (limit 80%); 3 of 4",
        "/var/lib/my_state/x",
        "显存即将用尽，请检查。",
        "12:30:05.123Z",
    ],
)
def test_what_is_no_markup_stays_as_it_is(text: str) -> None:
    assert without_markup(text) == text


@given(st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E)))
def test_a_request_id_comes_back_from_its_harmless_form(request_id: str) -> None:
    assert with_markup(without_markup(request_id)) == request_id


@given(st.text())
def test_whatever_is_written_holds_no_sign_of_markup_and_doing_it_twice_changes_nothing(text: str) -> None:
    shown = without_markup(text)
    assert not set("@<>[]*`~#|\\&{}\n\r\x1b\u202e") & set(shown)
    assert "://" not in shown
    assert without_markup(shown) == shown
