"""Text from users and models cannot move a cursor, forge a line or break a log."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from llmops.untrusted import spelled_out


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
