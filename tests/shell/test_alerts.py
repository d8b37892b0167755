"""The verbs of alerts, on what a real watch keeps."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from llmops.quietfile import QuietFile
from llmops.settings import AlertSettings, Settings, StateSettings
from llmops.shell import alert, alerts, quiet, trying
from llmops.store import open_store
from tests.watch.looks import Bench, with_memory


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(state=StateSettings(directory=tmp_path), alerts=AlertSettings(language="en"))


@pytest.fixture
def bench(tmp_path: Path, settings: Settings) -> Iterator[Bench]:
    """serve has been down for ten seconds, and a card is full since then."""
    made = Bench(tmp_path / "journal", open_store(settings.state.store))
    made.now = time.time() - 10
    made.watch._teller._orders = QuietFile(tmp_path).orders
    made.answer = with_memory(0.9)
    made.looks(1)
    made.serve_is_gone()
    made.looks(9)
    made.told()
    made.looks(1)
    yield made
    made.close()


def said(capsys: pytest.CaptureFixture[str]) -> Any:
    return json.loads(capsys.readouterr().out)


def test_the_list_says_what_fires_and_whether_it_was_told(
    settings: Settings, bench: Bench, capsys: pytest.CaptureFixture[str]
) -> None:
    assert alerts.show_all(settings, as_json=False) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[1].split()[:3] == ["serve_down", "page", "firing"]
    assert "told" in lines[1]
    assert "serve does not answer: nothing listens there" in lines[1]
    assert lines[2].split()[:3] == ["vram", "ticket", "pending"]
    assert "not yet: it is pending" in lines[2]
    alerts.show_all(settings, as_json=True)
    first, second = said(capsys)["alerts"]
    assert (first["rule_id"], first["why"], first["told"]["times"]) == ("serve_down", "told", 1)
    assert (second["rule_id"], second["why"], second["told"]) == ("vram", None, None)


def test_nothing_to_tell_is_said_kindly(settings: Settings, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    open_store(settings.state.store).close()
    assert alerts.show_all(settings, as_json=False) == 0
    assert capsys.readouterr().err == "No alert is pending or firing.\n"
    assert alerts.history(settings, since="1h", limit=5, as_json=False) == 0
    assert capsys.readouterr().err == "No alert changed in that time.\n"


def test_without_a_record_every_verb_says_so_in_a_sentence(
    settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    verbs: list[Callable[[], int]] = [
        lambda: alerts.show_all(settings, as_json=False),
        lambda: alerts.history(settings, since=None, limit=5, as_json=False),
        lambda: alert.show(settings, "vram", as_json=False),
        lambda: quiet.acknowledge(settings, "vram", comment="", as_json=False),
    ]
    for verb in verbs:
        with pytest.raises(SystemExit) as ended:
            verb()
        assert ended.value.code == 2
        assert capsys.readouterr().err.startswith("llmops alerts: There is no record")


def test_one_alert_is_shown_with_its_changes(
    settings: Settings, bench: Bench, capsys: pytest.CaptureFixture[str]
) -> None:
    bench.settle(lambda: bench.watch._follower.follow().behind or len(bench.store.alerts()) >= 4)
    assert alert.show(settings, "serve_down", as_json=False) == 0
    shown = capsys.readouterr().out
    assert "page: serve is down" in shown
    assert "docs/runbooks/serve_down.md" in shown
    assert [line.split()[-1] for line in shown.splitlines()[-2:]] == ["firing", "pending"]
    alerts.show_all(settings, as_json=True)
    identity = said(capsys)["alerts"][0]["id"]
    assert alert.show(settings, identity[:6], as_json=True) == 0
    assert said(capsys)["rule_id"] == "serve_down"
    with pytest.raises(SystemExit):
        alert.show(settings, "nonsense", as_json=False)
    assert "No alert 'nonsense' is pending or firing now. Active: serve_down, vram." in capsys.readouterr().err


def test_history_has_changes_and_deliveries_newest_first(
    settings: Settings, bench: Bench, capsys: pytest.CaptureFixture[str]
) -> None:
    bench.settle(lambda: bench.watch._follower.follow().behind or len(bench.store.alerts()) >= 4)
    assert alerts.history(settings, since="1h", limit=10, as_json=True) == 0
    assert {(each["rule.id"], each["event.action"]) for each in said(capsys)} == {
        ("serve_down", "notified"),
        ("serve_down", "firing"),
        ("serve_down", "pending"),
        ("vram", "pending"),
    }
    alerts.history(settings, since=None, limit=1, as_json=False)
    assert "notified (ear)" in capsys.readouterr().out
    with pytest.raises(SystemExit):
        alerts.history(settings, since="yesteryear", limit=1, as_json=False)
    assert "--since is 'yesteryear'" in capsys.readouterr().err


def test_what_was_taken_on_is_not_told_again_but_its_end_is(
    settings: Settings, bench: Bench, capsys: pytest.CaptureFixture[str]
) -> None:
    assert quiet.acknowledge(settings, "serve_down", comment="\x1b[31mlooking", as_json=False) == 0
    assert "it is not told again until it ends" in capsys.readouterr().err
    bench.now += 5 * 3600
    bench.looks(2)
    alerts.show_all(settings, as_json=True)
    assert said(capsys)["alerts"][0]["why"] == "acknowledged"
    assert "\x1b" not in QuietFile(settings.state.directory).path.read_text()
    bench.answer = with_memory(0.5)
    bench.looks(8)
    assert bench.told() == ["firing serve_down", "resolved serve_down"]


def test_a_silence_keeps_quiet_until_it_is_ended(
    settings: Settings, bench: Bench, capsys: pytest.CaptureFixture[str]
) -> None:
    assert quiet.silence(settings, ["group=gpu"], duration="2h", comment="tests", as_json=True) == 0
    kept = said(capsys)
    assert (kept["matchers"], kept["comment"]) == (["group=gpu"], "tests")
    bench.answer = with_memory(0.9)
    bench.looks(130)
    assert "firing vram" not in bench.told()
    assert quiet.unsilence(settings, kept["id"], as_json=False) == 0
    bench.looks(2)
    assert bench.told()[-1] == "firing vram"
    assert quiet.unsilence(settings, kept["id"], as_json=False) == 1
    assert f"no silence {kept['id']!r} counts now" in capsys.readouterr().err


def test_a_silence_of_the_same_matchers_is_made_longer(settings: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    assert quiet.silence(settings, ["vram"], duration="1h", comment="", as_json=False) == 0
    assert quiet.silence(settings, ["rule=vram"], duration="2h", comment="", as_json=False) == 0
    one, two = capsys.readouterr().err.splitlines()
    assert one.startswith("Silence ")
    assert "nobody is told of rule=vram until" in one
    assert "kept rule=vram quiet already; it lasts until" in two
    assert len(QuietFile(settings.state.directory).read().silences) == 1


@pytest.mark.parametrize(
    ("matchers", "duration", "says"),
    [
        (["colour=red"], "1h", "'colour' is nothing that alerts have: use rule, severity, group or slo."),
        (["vram"], "for ever", "--for is 'for ever': say how long, from 1s to 366d, as in 30m, 2h or 7d."),
        (["vram"], "400d", "--for is '400d'"),
        (["rule="], "1h", "'rule=' is no matcher"),
    ],
)
def test_a_silence_that_makes_no_sense_is_one_sentence(
    settings: Settings, capsys: pytest.CaptureFixture[str], matchers: list[str], duration: str, says: str
) -> None:
    with pytest.raises(SystemExit) as ended:
        quiet.silence(settings, matchers, duration=duration, comment="", as_json=False)
    assert ended.value.code == 2
    assert says in capsys.readouterr().err
    assert not QuietFile(settings.state.directory).path.exists()


def test_a_damaged_file_of_silences_is_told_and_what_was_read_before_stays_in_force(
    settings: Settings, bench: Bench, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    quiet.silence(settings, ["group=gpu"], duration="2h", comment="", as_json=False)
    bench.answer = with_memory(0.9)
    bench.looks(2)
    QuietFile(settings.state.directory).path.write_text("{")
    bench.looks(130)
    assert "firing vram" not in bench.told()
    assert caplog.text.count("cannot be read") == 1
    with pytest.raises(SystemExit):
        quiet.silence(settings, ["vram"], duration="2h", comment="", as_json=False)
    assert "Restore that file, or delete it to begin anew." in capsys.readouterr().err


def test_a_test_message_says_how_it_went(settings: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    assert trying.run(settings, "console", as_json=False) == 0
    out = capsys.readouterr().err
    assert "TICKET firing: A test message." in out
    assert "console took it: look whether it arrived." in out
    assert trying.run(settings, "fax", as_json=False) == 2
    assert "no channel 'fax' is set up. There is console" in capsys.readouterr().err
