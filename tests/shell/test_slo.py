"""`llmops slo`: where objectives stand, what spent their budgets, what would have been told, and the objectives."""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from llmops.cli import app
from llmops.events import Document
from llmops.overview.spending import spendings
from llmops.settings import BadConfiguration, ObjectiveSettings, Settings, StateSettings
from llmops.shell import slo, slo_backtest, slo_export, slo_report
from llmops.shell.slo_report import month_of
from llmops.slo import Objective, objectives_of_openslo, objectives_of_toml
from llmops.store import MemoryStore, SqliteStore, open_store
from tests.store.events import benchmark, probe, request

ATTACK = "\x1b[31mann"
HOUR_S, DAY_S = 3600.0, 86400.0
FAILS: dict[str, Any] = {"outcome": "failure", "error_type": "oom"}
NOVEMBER = 1_793_491_200.0
"""2026-11-01."""


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(state=StateSettings(directory=tmp_path))


@pytest.fixture
def store(settings: Settings) -> Iterator[SqliteStore]:
    made = open_store(settings.state.store, slow_s=3.0, late_s=2.0)
    yield made
    made.close()


def good(count: int, *, days: float = 3.0) -> list[Document]:
    """Spread over the last days."""
    now = time.time()
    return [request(now - 60 - days * DAY_S * n / count, ttft_s=0.2, user_hash="bob") for n in range(count)]


def printed(capsys: pytest.CaptureFixture[str]) -> Any:
    return json.loads(capsys.readouterr().out)


def test_without_failures_all_is_ok(settings: Settings, store: SqliteStore, capsys: pytest.CaptureFixture[str]) -> None:
    store.record(good(2000))
    assert slo.run(settings, as_json=False) == 0
    out = capsys.readouterr().out
    assert "0 of 2 failures used" in out
    assert "99 % under 3 s of 30d" in out
    assert "0.50 s" in out, "the P99 beside the latency"
    assert slo.run(settings, as_json=True) == 0
    availability, latency, ttft, speed = printed(capsys)["objectives"]
    assert (availability["state"], availability["good_ratio"], availability["p99_s"]) == ("ok", 1.0, None)
    assert availability["budget"] == {"used": 0, "allowed": 2, "remaining": 1.0}
    assert set(availability["burn"]) == {"1h", "6h", "1d", "3d"}
    assert (latency["p99_s"], latency["exhausted_in_s"]) == (0.5, None)
    assert ttft["p99_s"] == 0.2
    assert (speed["state"], latency["unattainable"]) == ("no_data", None)


def test_a_default_that_this_machine_cannot_meet_is_named_with_what_to_set(
    settings: Settings, store: SqliteStore, capsys: pytest.CaptureFixture[str]
) -> None:
    now = time.time()
    store.record([benchmark(now, suite="speed", output_tokens_per_s=14.0, input_tokens_per_s=200.0)])
    store.record([request(now - n, duration_s=14.0, output_tokens=194, input_tokens=20) for n in range(60)])
    assert slo.run(settings, as_json=False) == 0
    out = " ".join(capsys.readouterr().out.split())
    assert "latency unattainable 99 % under 3 s" in out
    assert (
        "latency: not attainable here: 60 of the last 60 answers take longer than 3 s even alone (at 14 tokens/s, 194 "
        "tokens take 14.0 s), and 1 % may; set latency_threshold_s = 28 under [objectives] in llmops.toml"
    ) in out
    assert slo.run(settings, as_json=True) == 0
    latency = printed(capsys)["objectives"][1]
    assert (latency["state"], latency["unattainable"]["suggested_s"]) == ("unattainable", 28.0)
    written = settings.objectives.model_copy(update={"latency_threshold_s": 3.0})
    assert slo.run(settings.model_copy(update={"objectives": written}), as_json=False) == 1
    assert "latency: not attainable here" in capsys.readouterr().out, "what was written is judged, and named too"


def test_a_budget_that_is_spent_is_exit_code_1(
    settings: Settings, store: SqliteStore, capsys: pytest.CaptureFixture[str]
) -> None:
    store.record([*good(200), *(request(time.time() - 30, **FAILS) for _ in range(5))])
    assert slo.run(settings, as_json=False) == 1
    out = capsys.readouterr().out
    assert "breached" in out
    assert "5 of 0 failures used" in out
    assert "spent" in out


def test_one_failure_of_a_small_budget_is_at_risk_and_tells_how_long_it_lasts(
    settings: Settings, store: SqliteStore, capsys: pytest.CaptureFixture[str]
) -> None:
    store.record([*good(3000), request(time.time() - 30, ttft_s=0.1, **FAILS)])
    assert slo.run(settings, as_json=True) == 1
    availability = printed(capsys)["objectives"][0]
    assert availability["state"] == "at_risk"
    assert availability["exhausted_in_s"] > 0
    assert slo.run(settings, as_json=False) == 1
    assert "1 of 3 failures used" in capsys.readouterr().out


def test_no_traffic_is_no_data_and_well(
    settings: Settings, store: SqliteStore, capsys: pytest.CaptureFixture[str]
) -> None:
    assert slo.run(settings, as_json=False) == 0
    assert "no data" in capsys.readouterr().out
    assert slo_report.run(settings, None, as_json=False) == 0
    assert "no requests" in capsys.readouterr().out
    assert slo_backtest.run(settings, None, since="1d", step="5m", as_json=False) == 0
    found = capsys.readouterr()
    assert "availability: nothing would have been told" in found.out
    assert "The record holds no request." in found.err


VERBS = [["slo"], ["slo", "status"], ["slo", "report"], ["slo", "backtest"]]


@pytest.mark.parametrize("verb", VERBS, ids=" ".join)
@pytest.mark.parametrize("form", [[], ["--json"]], ids=["table", "json"])
def test_without_a_record_there_is_one_sentence_and_exit_code_2(
    tmp_path: Path, verb: list[str], form: list[str]
) -> None:
    found = CliRunner().invoke(app, [*verb, *form, "--state", str(tmp_path / "none")])
    assert found.exit_code == 2
    assert found.stdout == ""
    assert len(found.stderr.splitlines()) == 1
    assert "no record" in found.stderr


@pytest.mark.parametrize("verb", [slo.run, slo_export.run], ids=["status", "export"])
def test_a_file_of_objectives_that_cannot_be_used_is_one_sentence(
    tmp_path: Path, store: SqliteStore, verb: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "bad.toml").write_text('[[objective]]\nid = "a\\u001bb"\n')
    dials = ObjectiveSettings(file=str(tmp_path / "bad.toml"))
    settings = Settings(state=StateSettings(directory=tmp_path), objectives=dials)
    more = {"openslo": False} if verb is slo_export.run else {}
    assert verb(settings, as_json=False, **more) == 2
    found = capsys.readouterr()
    assert found.out == ""
    assert len(found.err.splitlines()) == 1
    assert "\x1b" not in found.err


def november() -> list[Document]:
    """Two days: one failure on the first, five of two users on the second, of which four at 13 h; two slow ones."""
    first, second = NOVEMBER + 9 * HOUR_S, NOVEMBER + DAY_S + 13 * HOUR_S
    return [
        *(request(NOVEMBER + n, ttft_s=0.2, user_hash="bob", model_version="v1") for n in range(600)),
        *(request(NOVEMBER + DAY_S + n, ttft_s=0.2, user_hash="bob", model_version="v2") for n in range(400)),
        request(first, user_hash="bob", model_version="v1", outcome="failure"),
        *(request(second + n, user_hash=ATTACK, model_version="v2", duration_s=9.0, **FAILS) for n in range(2)),
        *(request(second + n, user_hash="bob", model_version="v2", **FAILS) for n in range(2)),
        request(second + 2 * HOUR_S, model_version="v2", **FAILS),
        request(second, user_hash="cid", outcome="failure", error_type="bad_request", slo_eligible=False),
        probe(first),
        probe(second, completed=0),
    ]


OBJECTIVES = (
    Objective(id="availability", measure="success", target=0.999, window_s=30 * DAY_S),
    Objective(id="latency", measure="duration", target=0.99, window_s=30 * DAY_S, threshold_s=3.0),
    Objective(id="ttft", measure="ttft", target=0.95, window_s=30 * DAY_S, threshold_s=2.0),
    Objective(id="canary", measure="probe", target=0.99, window_s=30 * DAY_S),
)


def test_what_spent_the_budget_is_told_by_user_version_error_and_hour(store: SqliteStore) -> None:
    memory = MemoryStore()
    for each in (store, memory):
        each.record(november())
        availability, latency, ttft, canary = spendings(each, OBJECTIVES, NOVEMBER, NOVEMBER + 30 * DAY_S)
        assert (availability.whole.total, availability.whole.bad, availability.attributed) == (1006, 6, 6)
        assert (availability.budget.used, availability.budget.allowed) == (6, 1)
        assert [(blame.key, blame.bad) for blame in availability.blame["user"]] == [("bob", 3), (ATTACK, 2), (None, 1)]
        assert [(blame.key, blame.bad) for blame in availability.blame["version"]] == [("v2", 5), ("v1", 1)]
        assert [(blame.key, blame.bad) for blame in availability.blame["error"]] == [("oom", 5), ("_OTHER", 1)]
        hours = [(blame.key, blame.bad) for blame in availability.blame["hour"]]
        assert hours == [("13", 4), ("09", 1), ("15", 1)]
        assert availability.worst is not None
        assert (availability.worst.start, availability.worst.tally.bad) == (NOVEMBER + DAY_S, 5)
        assert len(availability.days) == 30
        assert sum(day.tally.total for day in availability.days) == 1006
        assert [(blame.key, blame.bad) for blame in latency.blame["user"]] == [(ATTACK, 2)]
        assert (ttft.whole.total, ttft.whole.bad, ttft.attributed) == (1006, 6, 6)
        assert (canary.whole.total, canary.whole.bad, dict(canary.blame)) == (2, 1, {})
        assert canary.worst is not None


def test_where_rows_are_gone_nobody_is_blamed_for_what_is_only_counted(
    settings: Settings, store: SqliteStore, capsys: pytest.CaptureFixture[str]
) -> None:
    store.record(november())
    while store.prune({"requests": NOVEMBER + DAY_S}, limit=1000):
        pass
    availability = spendings(store, OBJECTIVES, NOVEMBER, NOVEMBER + 30 * DAY_S)[0]
    assert (availability.whole.bad, availability.attributed) == (6, 5)
    slo_report._print(availability, store.oldest())
    out = capsys.readouterr().out
    assert "1 of 6 bad ones are only counted: requests are held since 2026-11-02T00:00Z" in out
    assert "by error: oom 5 (100 %)" in out
    assert "\x1b" not in out
    assert "by user:" in out
    slo_report._print(availability, None)
    assert "requests are held no more" in capsys.readouterr().out


def test_a_report_has_a_line_for_each_day_and_who_spent_it(
    settings: Settings, store: SqliteStore, capsys: pytest.CaptureFixture[str]
) -> None:
    now = time.time()
    begin, _ = month_of(None, now)
    at = max(begin, now - 60)
    store.record([request(at, ttft_s=0.1, user_hash="bob") for _ in range(90)])
    store.record([request(at, ttft_s=0.1, user_hash=f"{ATTACK}{n}", **FAILS) for n in range(10)])
    assert slo_report.run(settings, None, as_json=False) == 0
    out = capsys.readouterr().out
    assert "90.00 % of 100 good, 10 bad; 10 of 0 failures used (10000 %)" in out
    assert "others 5 (50 %)" in out
    assert "\x1b" not in out
    assert slo_report.run(settings, None, as_json=True) == 0
    availability = printed(capsys)["objectives"][0]
    assert [(day["total"], day["bad"]) for day in availability["days"]][-1] == (100, 10)
    assert availability["spent_by"]["error"] == [{"key": "oom", "bad": 10, "share": 1.0}]
    assert availability["worst_day"] == availability["days"][-1]["day"]
    assert slo_report.run(settings, "1999-12", as_json=True) == 0
    assert {each["total"] for each in printed(capsys)["objectives"]} == {0}


def test_months_begin_and_end_in_utc_and_not_beyond_now() -> None:
    now = NOVEMBER + 10 * DAY_S
    assert month_of("2026-11", now) == (NOVEMBER, now + 1.0)
    assert month_of(None, now) == (NOVEMBER, now + 1.0)
    assert month_of("2026-10", now) == (NOVEMBER - 31 * DAY_S, NOVEMBER)
    assert month_of("2025-12", now)[1] - month_of("2025-12", now)[0] == 31 * DAY_S


@pytest.mark.parametrize(
    "text", ["", "2026", "2026-13", "2026-1", "26-11", "\x1b[2J", "2026-11-01", "1969-01", "٢٠٢٦-١١"]
)
def test_what_is_no_month_is_one_sentence_with_an_example(text: str) -> None:
    with pytest.raises(BadConfiguration, match="as in 2026-11") as refused:
        month_of(text, NOVEMBER)
    assert "\x1b" not in str(refused.value)
    with pytest.raises(BadConfiguration, match="has not begun"):
        month_of("2026-12", NOVEMBER)


def test_objectives_are_exported_as_files_that_are_read_back(
    settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    def exported(*, openslo: bool, as_json: bool = False) -> str:
        assert slo_export.run(settings, openslo=openslo, as_json=as_json) == 0
        return capsys.readouterr().out

    toml = objectives_of_toml(exported(openslo=False))
    assert [each.id for each in toml] == ["availability", "latency", "ttft", "speed"]
    assert objectives_of_openslo(yaml.safe_load_all(exported(openslo=True))) == toml
    assert objectives_of_openslo(json.loads(exported(openslo=True, as_json=True))) == toml
    assert [each["id"] for each in json.loads(exported(openslo=False, as_json=True))] == [each.id for each in toml]


def test_a_record_that_breaks_while_it_is_asked_is_one_sentence(
    settings: Settings, store: SqliteStore, capsys: pytest.CaptureFixture[str]
) -> None:
    store.close()
    with sqlite3.connect(settings.state.store) as connection:
        connection.execute("DROP TABLE rollup")
    assert slo.run(settings, as_json=False) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1
