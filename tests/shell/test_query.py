"""`llmops query` reads, and nothing else, for as long and as much as it may."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import signal
import threading
from pathlib import Path

import pytest
from typer.testing import CliRunner

from llmops.cli import app
from llmops.settings import Settings, StateSettings, StoreSettings
from llmops.shell import query as verb
from llmops.shell.tabular import Form
from llmops.store import open_store
from llmops.store.columns import ROW_COLUMNS
from llmops.store.filtering import NAMES
from llmops.store.sql import TABLES
from tests.store.events import request

NOW = 1_700_000_000.0


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    made = Settings(state=StateSettings(directory=tmp_path))
    store = open_store(made.state.store)
    store.record([request(NOW + n, user_hash="-1+2\x1b[2J", duration_s=n / 2) for n in range(5)])
    store.close()
    return made


def run(settings: Settings, text: str, form: Form = "json", limit: int = 10, limit_s: float = 5.0) -> int:
    return verb.run(settings, text, form=form, limit=limit, limit_s=limit_s)


def test_an_answer_comes_as_table_json_or_csv(settings: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    text = "SELECT user, count(*) AS n, NULL AS absent, x'00ff' AS bytes, 9e999 AS big FROM requests GROUP BY 1"
    assert run(settings, text) == 0
    assert json.loads(capsys.readouterr().out) == [
        {"user": "-1+2\x1b[2J", "n": 5, "absent": None, "bytes": "00ff", "big": None}
    ]
    assert run(settings, text, "csv") == 0
    _, row = csv.reader(io.StringIO(capsys.readouterr().out))
    assert row == ["'-1+2\\x1b[2J", "5", "", "00ff", "inf"]
    assert run(settings, text, "table") == 0
    shown = capsys.readouterr().out
    assert shown.splitlines()[1].split() == ["-1+2␛[2J", "5", "--", "00ff", "inf"]


def test_a_long_answer_is_cut_and_says_so(settings: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(settings, "SELECT at FROM requests", limit=3) == 0
    told = capsys.readouterr()
    assert len(json.loads(told.out)) == 3
    assert told.err == "Cut at 3 rows: --limit takes more.\n"
    assert run(settings, "SELECT at FROM requests", limit=5) == 0
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("DROP TABLE event", "A query only reads (not authorized): write a SELECT."),
        ("DELETE FROM event", "A query only reads (not authorized): write a SELECT."),
        ("INSERT INTO state VALUES ('a', 'b')", "A query only reads (not authorized): write a SELECT."),
        ("ATTACH '/tmp/x' AS y", "A query only reads (not authorized): write a SELECT."),
        ("PRAGMA user_version = 9", "A query only reads (not authorized): write a SELECT."),
        ("VACUUM INTO '/tmp/x'", "A query only reads (not authorized): write a SELECT."),
        ("SELECT load_extension('x')", "A query only reads (not authorized): write a SELECT."),
        ("BEGIN", "A query only reads (not authorized): write a SELECT."),
        ("SELECT 1; DROP TABLE event", "A query is one SELECT: leave out what follows the semicolon."),
        ("", "There is no question: write a SELECT."),
        ("-- nothing", "There is no question: write a SELECT."),
        ("SELECT nope FROM requests", "The query cannot be run: no such column: nope."),
        ("SELECT * FROM \x1b[2J", 'The query cannot be run: unrecognized token: "\\x1b".'),
        ("SELECT zeroblob(100000000)", "The query cannot be run: string or blob too big."),
        ("SELECT \ud800", "The query cannot be run: "),
        ("SELECT \x00", "The query cannot be run: "),
        ("SELECT * FROM nowhere", "The query cannot be run: no such table: nowhere; there are requests, samples, "),
    ],
)
def test_what_is_no_question_is_refused_with_one_sentence(
    settings: Settings, capsys: pytest.CaptureFixture[str], text: str, complaint: str
) -> None:
    before = settings.state.store.read_bytes()
    assert run(settings, text) == 2
    told = capsys.readouterr().err
    assert told.startswith(f"llmops query: {complaint}")
    assert told.count("\n") == 1
    assert "\x1b" not in told
    assert settings.state.store.read_bytes() == before


def test_a_query_without_end_is_ended(settings: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    endless = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT max(x) FROM n"
    assert run(settings, endless, limit_s=0.2) == 2
    assert "took longer than 0.2 s" in capsys.readouterr().err


def test_a_query_that_the_person_stops_ends_quietly(settings: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    endless = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT max(x) FROM n"
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    timer = threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGINT))
    timer.start()
    try:
        assert run(settings, endless, limit_s=30.0) == 130
    finally:
        timer.join()
        signal.signal(signal.SIGINT, before)
    assert capsys.readouterr().err == ""


def test_two_columns_of_one_name_are_both_there(settings: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(settings, "SELECT 1 AS a, 2 AS a, 3 AS b, 4 AS a") == 0
    assert json.loads(capsys.readouterr().out) == [{"a": 1, "a:2": 2, "b": 3, "a:3": 4}]


def test_an_answer_that_would_fill_the_memory_is_refused(
    settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    large = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT zeroblob(8000000) FROM n"
    assert run(settings, large, limit=1_000_000) == 2
    assert "The answer is larger than 256 MiB" in capsys.readouterr().err


def test_what_is_piped_is_whole(settings: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(settings, "SELECT zeroblob(20) AS b", "csv") == 0
    assert capsys.readouterr().out.splitlines()[1] == f'"{40 * "0"}"'
    assert run(settings, "SELECT hex(zeroblob(2000)) AS long", "table") == 0
    assert capsys.readouterr().out.splitlines()[1].strip() == 4000 * "0"


@pytest.mark.parametrize("verb_of", [["query", "SELECT 1"], ["requests"]])
def test_more_rows_than_anybody_reads_are_refused(verb_of: list[str], tmp_path: Path) -> None:
    answer = CliRunner().invoke(app, [*verb_of, "--limit", "1" + 20 * "0", "--state", str(tmp_path)])
    assert answer.exit_code == 2
    assert "--limit" in answer.output


PAGE = (Path(__file__).parents[2] / "docs" / "store.md").read_text(encoding="utf-8")
EXAMPLES = [
    example.strip()
    for block in re.findall(r"```sql\n(.*?)```", PAGE, re.DOTALL)
    for example in block.split(";\n")
    if example.strip()
]


@pytest.mark.parametrize("example", EXAMPLES)
def test_every_example_of_the_page_is_answered(settings: Settings, example: str) -> None:
    assert run(settings, example) == 0


def test_the_page_names_every_view_column_filter_and_dial() -> None:
    names = [*TABLES, *ROW_COLUMNS.split(", "), *NAMES, *(f"store.{name}" for name in StoreSettings.model_fields)]
    assert [name for name in names if f"`{name}`" not in PAGE] == []
