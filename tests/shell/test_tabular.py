from __future__ import annotations

import re

import pytest
from rich.cells import cell_len

from llmops.shell.tabular import print_table

Output = pytest.CaptureFixture[str]
NAMES = ("model", "tokens/s")
ROWS = (("通义千问", 12), ("gemma", 3), ("[bold]x", 100))


def in_a_terminal(monkeypatch: pytest.MonkeyPatch, columns: int) -> None:
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", str(columns))
    monkeypatch.setenv("TERM", "xterm")


def lines_of(capsys: Output) -> list[str]:
    return capsys.readouterr().out.splitlines()


def bare_lines_of(capsys: Output) -> list[str]:
    return [re.sub(r"\x1b\[\d*m", "", line) for line in lines_of(capsys)]


def test_columns_are_aligned_by_the_width_that_characters_take_on_a_screen(capsys: Output) -> None:
    print_table(NAMES, ROWS, right=("tokens/s",))
    lines = lines_of(capsys)
    assert lines == ["model     tokens/s", "通义千问        12", "gemma            3", "[bold]x        100"]
    assert {cell_len(line) for line in lines} == {18}


def test_a_line_ends_with_its_last_character(capsys: Output) -> None:
    print_table(("a", "b"), [("1", "x"), ("2", "long")])
    assert lines_of(capsys) == ["a  b", "1  x", "2  long"]


def test_no_rows_leave_the_names(capsys: Output) -> None:
    print_table(NAMES, [])
    assert lines_of(capsys) == ["model  tokens/s"]


def test_a_file_takes_whole_lines_however_long_they_are(capsys: Output) -> None:
    print_table(("a", "b"), [("x" * 5000, "y")])
    assert lines_of(capsys)[1] == "x" * 5000 + "  y"


def test_in_a_terminal_that_is_wide_enough_the_names_are_bold(monkeypatch: pytest.MonkeyPatch, capsys: Output) -> None:
    in_a_terminal(monkeypatch, 18)
    print_table(NAMES, ROWS, right=("tokens/s",))
    assert lines_of(capsys)[:2] == ["\x1b[1mmodel     tokens/s\x1b[0m", "通义千问        12"]


def test_a_terminal_that_knows_no_colours_is_sent_none(monkeypatch: pytest.MonkeyPatch, capsys: Output) -> None:
    in_a_terminal(monkeypatch, 80)
    monkeypatch.setenv("TERM", "dumb")
    print_table(NAMES, ROWS)
    assert "\x1b" not in capsys.readouterr().out


def test_what_is_too_wide_for_a_terminal_goes_on_below(monkeypatch: pytest.MonkeyPatch, capsys: Output) -> None:
    in_a_terminal(monkeypatch, 16)
    print_table(("name", "n"), [("abcdefghijklmnopqrst", 1), ("[bold]x", 22)], right=("n",))
    lines = bare_lines_of(capsys)
    assert max(map(len, lines)) <= 16
    assert "".join(line[:13].strip() for line in lines) == "name" + "abcdefghijklmnopqrst" + "[bold]x"


def test_where_short_cells_would_be_torn_apart_each_value_has_a_line(
    monkeypatch: pytest.MonkeyPatch, capsys: Output
) -> None:
    in_a_terminal(monkeypatch, 20)
    print_table(("model", "needs", "verdict"), [("a/very/long/name", "1.72 GiB", "comfortable")])
    lines = [line.split() for line in bare_lines_of(capsys)]
    assert lines[2:] == [["needs", "1.72", "GiB"], ["verdict", "comfortable"]]


def test_where_there_is_room_for_it_only_long_cells_are_folded(monkeypatch: pytest.MonkeyPatch, capsys: Output) -> None:
    in_a_terminal(monkeypatch, 36)
    print_table(("model", "needs", "verdict"), [("a/very/long/name/of/a/model", "1.72 GiB", "comfortable")])
    assert bare_lines_of(capsys)[1].split(maxsplit=1)[1] == "1.72 GiB comfortable"


def test_many_columns_that_a_terminal_is_too_narrow_for_go_one_a_line(
    monkeypatch: pytest.MonkeyPatch, capsys: Output
) -> None:
    in_a_terminal(monkeypatch, 40)
    names = [f"column {number}" for number in range(11)]
    print_table(names, [[f"[bold]{number}" for number in range(11)], [None] * 11])
    lines = [line.split() for line in bare_lines_of(capsys)]
    assert lines[0] == ["row", "1"]
    assert lines[1] == ["column", "0", "[bold]0"]
    assert lines[12] == ["row", "2"]
    assert lines[23] == ["column", "10", "--"]
