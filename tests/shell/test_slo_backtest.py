"""`llmops slo backtest`: what would have been told, and what cannot be replayed."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from llmops.cli import app
from llmops.events import Document
from llmops.settings import Settings, StateSettings
from llmops.shell import slo_backtest
from llmops.shell.slo_backtest import step_of
from llmops.store import SqliteStore, open_store
from tests.shell.test_slo import DAY_S, FAILS, HOUR_S, good
from tests.store.events import alert, request


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(state=StateSettings(directory=tmp_path))


@pytest.fixture
def store(settings: Settings) -> Iterator[SqliteStore]:
    made = open_store(settings.state.store, slow_s=3.0, late_s=2.0)
    yield made
    made.close()


def printed(capsys: pytest.CaptureFixture[str]) -> Any:
    return json.loads(capsys.readouterr().out)


def burst(ago_s: float, count: int) -> list[Document]:
    """Failures within two minutes."""
    begin = time.time() - ago_s
    return [request(begin + 120 * n / count, user_hash="ann", **FAILS) for n in range(count)]


def test_a_backtest_tells_what_would_have_fired(
    settings: Settings, store: SqliteStore, capsys: pytest.CaptureFixture[str]
) -> None:
    store.record([*good(3000), *burst(30 * HOUR_S, 40), *burst(10 * DAY_S, 40)])
    assert slo_backtest.run(settings, None, since="2d", step="60s", as_json=True) == 0
    told = printed(capsys)
    (page,) = [each for each in told["alerts"] if each["severity"] == "page"]
    assert page["objective"]["id"] == "availability"
    assert 0 < page["duration_s"] < 3 * HOUR_S
    assert page["bad"] >= 3
    assert page["until"] is not None
    sums = told["objectives"][0]
    assert (sums["id"], sums["pages"], sums["page_s"]) == ("availability", 1, page["duration_s"])
    assert slo_backtest.run(settings, None, since="2d", step="60s", as_json=False) == 0
    out = capsys.readouterr().out
    assert "1 page, " in out
    assert "latency: nothing would have been told" in out


def test_a_backtest_of_a_file_says_where_the_record_begins_and_what_goes_on(
    tmp_path: Path, settings: Settings, store: SqliteStore, capsys: pytest.CaptureFixture[str]
) -> None:
    store.record([*good(300, days=0.5), *burst(400, 60), alert(time.time() - 86400, rule_id="serve_down")])
    file = tmp_path / "mine.toml"
    file.write_text('[[objective]]\nid = "mine"\nmeasure = "success"\ntarget = 0.9\nwindow = "7d"\n')
    assert slo_backtest.run(settings, str(file), since="1d", step="60s", as_json=False) == 0
    found = capsys.readouterr()
    assert "goes on" in found.out
    assert "mine: 1 ticket" in found.out
    assert "Requests are held since" in found.err


@pytest.mark.parametrize(
    ("file", "since", "step", "word"),
    [
        (None, "yesterday", "60s", "--since"),
        (None, "2999-01-01", "60s", "future"),
        (None, "7d", "0s", "--step"),
        (None, "7d", "fast", "--step"),
        (None, "9000d", "1s", "looks"),
        ("none.toml", "7d", "60s", "none.toml cannot be read"),
        (".", "7d", "60s", "cannot be read"),
    ],
)
@pytest.mark.usefixtures("store")
def test_a_backtest_that_cannot_be_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, file: str | None, since: str, step: str, word: str
) -> None:
    monkeypatch.chdir(tmp_path)
    called = ["slo", "backtest", *([file] if file else []), "--since", since, "--step", step, "--state", str(tmp_path)]
    found = CliRunner().invoke(app, called)
    assert word in (found.stderr or str(found.exception))
    assert found.exit_code != 0
    assert "Traceback" not in found.stderr


def test_a_step_is_a_length_of_time() -> None:
    assert (step_of("60s", 1e5), step_of("5m", 1e5), step_of("1h", 1e6)) == (60.0, 300.0, 3600.0)
    assert math.isclose(step_of("1.5m", 1e5), 90.0)
