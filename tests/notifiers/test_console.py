"""The line at the terminal."""

from __future__ import annotations

import io

import pytest

from llmops.notifiers import Console, DeliveryFailed
from tests.notifiers.notices import item, notice, notification


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_file_gets_one_plain_line() -> None:
    stream = io.StringIO()
    Console(stream).deliver(notification())
    assert stream.getvalue() == notice().line + "\n"


def test_a_terminal_gets_a_bell_and_a_colour() -> None:
    stream = Terminal()
    Console(stream).deliver(notification())
    assert stream.getvalue() == f"\a\x1b[1;31m{notice().line}\x1b[0m\n"


def test_the_end_of_an_alert_rings_no_bell() -> None:
    stream = Terminal()
    Console(stream).deliver(notification(item("resolved")))
    assert stream.getvalue().startswith("\x1b[32mPAGE resolved")


def test_a_terminal_that_is_gone_is_a_failed_delivery() -> None:
    stream = io.StringIO()
    stream.close()
    with pytest.raises(DeliveryFailed):
        Console(stream).deliver(notification())


def test_stderr_is_where_it_goes_by_itself(capsys: pytest.CaptureFixture[str]) -> None:
    Console().deliver(notification())
    assert capsys.readouterr().err == notice().line + "\n"
