"""`llmops requests`: filtered, safe in every form, once or as they come, and one in full."""

from __future__ import annotations

import csv
import io
import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from llmops.admission.identity import hash_user
from llmops.events import SampleEvent
from llmops.settings import Settings, StateSettings
from llmops.shell import request as one
from llmops.shell import requests as verb
from llmops.shell import status
from llmops.shell.requests import LATE_S, newcomers
from llmops.shell.tabular import Form
from llmops.store import MemoryStore, SqliteStore, open_store
from llmops.store.conditions import Comparison, Every
from llmops.untrusted import without_markup
from llmops.up import free_port
from tests.store.events import document, request

NOW = 1_700_000_000.0
ATTACK = "=HYPERLINK(\x1b[31m)"


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(state=StateSettings(directory=tmp_path))


@pytest.fixture
def store(settings: Settings) -> Iterator[SqliteStore]:
    made = open_store(settings.state.store)
    made.record(
        [
            request(NOW, request_id="fast", user_hash=ATTACK, request_model=ATTACK),
            request(NOW + 1, request_id="slow", duration_s=5.0, user_hash="ann", input_tokens=7, output_tokens=9),
            request(NOW + 2, request_id="broken", outcome="failure", error_type="oom", status_code=500),
        ]
    )
    yield made
    made.close()


def run(settings: Settings, text: str | None = None, *, form: Form = "table", since: str | None = None) -> int:
    return verb.run(settings, text, since=since, limit=50, form=form, follow=False)


def test_an_id_is_found_as_an_alert_spells_it(
    settings: Settings, store: SqliteStore, capsys: pytest.CaptureFixture[str]
) -> None:
    """Alerts take the markup out of ids; their command is pasted as it stands."""
    store.record([request(NOW, request_id="http://evil.example/<!channel>")])
    assert one.run(settings, without_markup("http://evil.example/<!channel>"), as_json=True) == 0
    (found,) = json.loads(capsys.readouterr().out)
    assert found["request"]["http.request.id"] == "http://evil.example/<!channel>"


@pytest.mark.usefixtures("store")
def test_the_table_has_the_newest_first_and_nothing_that_moves_a_cursor(
    settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(settings) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[2] for line in lines[1:]] == ["broken", "slow", "fast"]
    assert "11-14 22:13:22" in lines[1]
    assert "oom" in lines[1]
    assert "7+9" in lines[2]
    assert not any("\x1b" in line for line in lines)


@pytest.mark.usefixtures("store")
def test_a_filter_and_a_moment_narrow_it(settings: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(settings, "latency>3s | error~oo", form="json") == 0
    assert [row["request_id"] for row in json.loads(capsys.readouterr().out)] == ["broken", "slow"]
    assert run(settings, "latency>3s | error~oo", form="json", since="2023-11-14T22:13:22Z") == 0
    assert [row["request_id"] for row in json.loads(capsys.readouterr().out)] == ["broken"]
    assert run(settings, since="1h") == 0
    assert capsys.readouterr().err == "No such requests.\n"


@pytest.mark.usefixtures("store")
def test_csv_holds_no_formula_and_no_control_character(settings: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(settings, "id=fast", form="csv") == 0
    written = capsys.readouterr().out
    header, row = csv.reader(io.StringIO(written))
    told = dict(zip(header, row, strict=True))
    assert told["user"] == "'=HYPERLINK(\\x1b[31m)"
    assert (told["duration_s"], told["ttft_s"], told["at"]) == ("0.5", "", "2023-11-14T22:13:20.000Z")
    assert "\x1b" not in written


def test_a_user_is_found_by_name_though_only_the_hash_is_recorded(
    settings: Settings, store: SqliteStore, capsys: pytest.CaptureFixture[str]
) -> None:
    settings.state.user_key.write_bytes(b"k" * 32)
    store.record([request(NOW + 3, request_id="hers", user_hash=hash_user(b"k" * 32, "ann"))])
    assert run(settings, "user=ann", form="json") == 0
    assert [row["request_id"] for row in json.loads(capsys.readouterr().out)] == ["hers", "slow"]
    assert run(settings, "!(user=ann) & user!=ann", form="json") == 0
    assert [row["request_id"] for row in json.loads(capsys.readouterr().out)] == ["broken", "fast"]


@pytest.mark.usefixtures("store")
@pytest.mark.parametrize(
    ("text", "since", "complaint"),
    [
        ("latensy>3", None, "Filter, character 1: latensy is no name: did you mean latency?"),
        (None, "soon", "--since soon is no moment: write 2h, 7d, or 2026-01-31T12:00Z."),
        ("id=\x1b[2J", None, "Filter, character 7: here stands `2`"),
    ],
)
def test_a_bad_filter_is_one_sentence(
    settings: Settings, capsys: pytest.CaptureFixture[str], text: str, since: str, complaint: str
) -> None:
    if "\x1b" in (text or ""):
        text, complaint = "\x1b[2J=1", "Filter, character 1: here stands `\\x1b`"
    assert run(settings, text, since=since) == 2
    told = capsys.readouterr().err
    assert told.startswith(f"llmops requests: {complaint}")
    assert told.count("\n") == 1
    assert "\x1b" not in told


def test_without_a_record_one_is_told_how_to_begin(settings: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(settings) == 2
    assert one.run(settings, "x", as_json=False) == 2
    assert capsys.readouterr().err.count("start `llmops watch`") == 2


@pytest.mark.usefixtures("store")
def test_a_key_of_users_that_cannot_be_read_is_one_sentence(
    settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    settings.state.user_key.mkdir()
    assert run(settings, "user=ann") == 2
    told = f"llmops requests: A user can't be looked up: {settings.state.user_key} can't be read (Is a directory).\n"
    assert capsys.readouterr().err == told


def test_status_says_why_a_record_cannot_be_read(settings: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    settings.state.store.write_bytes(b"no database" * 100)
    assert status.run(settings, f"http://127.0.0.1:{free_port()}", as_json=True) == 2
    told = json.loads(capsys.readouterr().out)
    assert not told["recorded"]
    assert told["record_problem"].endswith("start `llmops watch`, which rebuilds it.")
    status.run(settings, f"http://127.0.0.1:{free_port()}", as_json=False)
    assert "which rebuilds it" in " ".join(capsys.readouterr().out.split())


def test_while_following_each_request_is_shown_once_late_ones_too() -> None:
    store = MemoryStore()
    store.record([request(NOW + n, request_id=f"q{n}") for n in range(4)])
    arriving = iter(
        [
            [request(NOW + 10, request_id="new")],
            [],
            [request(NOW - LATE_S / 2, request_id="late"), request(NOW + 11, request_id="newer")],
            [request(NOW - 9 * LATE_S, request_id="too-late"), request(NOW + 12, request_id="last")],
        ]
    )

    def wait() -> None:
        store.record(next(arriving))

    rows = newcomers(store, Every((Comparison("id", "!=", "q0"),)), 2, wait)
    assert [next(rows).request_id for _ in range(6)] == ["q2", "q3", "new", "late", "newer", "last"]


def test_follow_prints_what_is_recorded_meanwhile_until_interrupted(store: SqliteStore, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "llmops", "requests", "outcome=failure", "--follow", "--json"]
    process = subprocess.Popen([*command, "--state", str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert process.stdout
    try:
        assert json.loads(process.stdout.readline())["request_id"] == "broken"
        store.record([request(NOW + 5, request_id="later", outcome="failure"), request(NOW + 6)])
        assert json.loads(process.stdout.readline())["request_id"] == "later"
        process.send_signal(signal.SIGINT)
        assert process.wait(10) == 0
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def test_follow_shows_ids_whole(store: SqliteStore, tmp_path: Path) -> None:
    store.record([request(NOW + 5, request_id=32 * "a", outcome="failure")])
    command = [sys.executable, "-m", "llmops", "requests", "outcome=failure", "--follow", "--state", str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        told = [process.stdout.readline() for _ in range(2)]
        process.send_signal(signal.SIGINT)
    assert "broken" in told[0]
    assert f" {32 * 'a'} " in told[1]


def test_one_request_shows_its_phases_and_what_the_card_did(
    settings: Settings, store: SqliteStore, capsys: pytest.CaptureFixture[str]
) -> None:
    had: dict[str, Any] = {"queue_s": 0.5, "prefill_s": 0.5, "decode_s": 1.0, "duration_s": 2.0}
    store.record([request(NOW + 60, request_id="measured-1", error_message="a\x1b[31mb", **had)])
    store.record(
        [
            document(
                SampleEvent(at=NOW + 57.5 + n, device_id="G", device_name="H100", power_w=100.0, utilization=n / 4)
            )
            for n in range(4)
        ]
    )
    assert one.run(settings, "measured", as_json=False) == 0
    shown = capsys.readouterr().out
    assert "█" * 60 in shown
    assert "queue 500 ms, prefill 500 ms, decode 1000 ms" in shown
    assert "200.0 J, its share of 200.0 J beside 0 other requests" in shown
    assert "H100 busy" in shown
    assert "75.0 %" in shown
    assert "\x1b" not in shown
    assert one.run(settings, "measured-1", as_json=True) == 0
    (told,) = json.loads(capsys.readouterr().out)
    assert (told["energy_j"], len(told["samples"])) == (pytest.approx(200.0), 4)
    assert one.run(settings, "nobody\x1b", as_json=False) == 1
    assert "no request has the id" in capsys.readouterr().err
