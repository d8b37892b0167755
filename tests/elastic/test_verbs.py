"""ship, elk setup, elk check and elk backfill, as a user runs them on a real server."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from llmops.elastic.checkpoints import Checkpoints, read_checkpoints
from llmops.elastic.keys import make_key
from llmops.elastic.report import FILE, read_report
from llmops.elastic.setup import prepare
from llmops.elastic.streams import ALERTS, REQUESTS
from llmops.events import AlertEvent
from llmops.settings import BadConfiguration, ElasticSettings
from llmops.shell import elk
from llmops.shell.moments import moment_of
from tests.elastic.proxy import fault_proxy
from tests.elastic.server import ElasticServer
from tests.elastic.shipments import NOW, Installation, origin

pytestmark = pytest.mark.elastic


@pytest.fixture
def home(prepared_elastic: ElasticServer, namespace: str, tmp_path: Path) -> Installation:
    return Installation(tmp_path, prepared_elastic.dials(), namespace)


def counts(capsys: pytest.CaptureFixture[str]) -> list[dict[str, object]]:
    """What `elk check --json` printed."""
    found: list[dict[str, object]] = json.loads(capsys.readouterr().out)
    return found


def test_setup_says_what_it_did_and_the_second_time_there_is_nothing_to_do(
    home: Installation, capsys: pytest.CaptureFixture[str]
) -> None:
    assert home.setup() == 0
    first = capsys.readouterr().out
    assert "Key llmops-ship: made" in first
    assert home.setup() == 0
    second = capsys.readouterr().out.splitlines()
    assert second[0].startswith("Elasticsearch 9.")
    assert [line.split(": ", 1)[1] for line in second if line.startswith("Template")] == [
        f"as it should be, kept {days} days." for days in (30, 7, 365, 365, 30)
    ]
    assert "Key llmops-ship: accepted as it is" in second[-3]
    key = home.settings.state.ship / "key"
    assert key.stat().st_mode & 0o777 == 0o600


def test_the_key_that_setup_makes_is_enough_to_ship_and_check_and_a_new_one_ends_the_old(home: Installation) -> None:
    assert home.setup() == 0
    home.write([home.request()])
    keyed = Installation(home.directory, ElasticSettings(url=home.settings.elastic.url), home.namespace)
    assert keyed.ship() == 0
    assert keyed.check() == 0
    key = home.settings.state.ship / "key"
    old = key.read_text()
    assert home.setup(new_key=True) == 0
    assert key.read_text() != old
    home.write([home.request(request_id="later")])
    assert keyed.ship() == 0
    key.write_text(old)
    assert keyed.ship() == 2


def test_a_key_cannot_make_keys_and_says_so(
    home: Installation, prepared_elastic: ElasticServer, capsys: pytest.CaptureFixture[str]
) -> None:
    with prepared_elastic.connect() as client:
        key = make_key(client, "admin", {"cluster": ["all"], "indices": [{"names": ["*"], "privileges": ["all"]}]})
    keyed = ElasticSettings.model_validate({"url": prepared_elastic.url, "api_key": key})
    assert Installation(home.directory, keyed, home.namespace).setup() == 2
    assert "with elastic.username and elastic.password" in capsys.readouterr().err


def test_a_stream_of_an_older_schema_is_rolled_over_and_what_was_sent_is_not_sent_again(
    home: Installation, prepared_elastic: ElasticServer
) -> None:
    home.write([home.request()])
    assert home.ship() == 0
    name = REQUESTS.name(home.namespace)
    with prepared_elastic.connect() as client:
        index = client.indices.resolve_index(name=name).body["data_streams"][0]["backing_indices"]
        newest = index if isinstance(index, str) else index[-1]
        client.indices.put_mapping(index=newest, meta={"schema_version": "0"})
        said = [sentence for sentence in prepare(client, {}) if name in sentence]
        assert said == [f"Stream {name}: rolled over, its fields have changed."]
        assert not [sentence for sentence in prepare(client, {}) if name in sentence]
    (home.settings.state.ship / "checkpoint.json").unlink()
    assert home.ship() == 0
    assert home.check() == 0


def test_check_finds_what_is_missing_and_backfill_brings_it(
    home: Installation, capsys: pytest.CaptureFixture[str]
) -> None:
    documents = [home.request(request_id=f"r{number}") for number in range(5)]
    home.write(documents[:2])
    assert home.ship() == 0
    home.write(documents[2:4])
    journal = home.settings.state.journal / "serve-1.jsonl"
    Checkpoints(home.settings.state.ship / "checkpoint.json").advance(documents[0]["event.id"], journal.stat().st_size)
    home.write(documents[4:])
    assert elk.compare(home.settings, 0.0, as_json=True) == 1
    (found,) = counts(capsys)
    missing = [document["event.id"] for document in documents[2:4]]
    assert (found["journal"], found["there"], found["waiting"], found["missing_ids"]) == (5, 2, 1, missing)
    assert home.check() == 1
    assert "2 are missing" in (said := capsys.readouterr().out)
    assert "`llmops elk backfill` sends them" in said
    assert elk.backfill(home.settings, NOW + 1) == 0
    assert "1 events were missing" in capsys.readouterr().out
    assert elk.backfill(home.settings, 0.0) == 0
    assert "2 events were missing" in capsys.readouterr().out
    assert home.check() == 0


def test_what_waits_is_well_for_some_minutes_and_then_a_failure(
    home: Installation, capsys: pytest.CaptureFixture[str]
) -> None:
    home.write([home.request(at=time.time())])
    assert home.check() == 0
    home.write([home.request(at=time.time() - 600)])
    capsys.readouterr()
    assert home.check() == 1
    assert "1 have waited for more than 5 minutes: `llmops ship` sends them" in capsys.readouterr().out
    assert home.ship() == 0
    assert home.check() == 0


def test_what_was_never_shipped_is_not_expired_however_old(
    home: Installation, capsys: pytest.CaptureFixture[str]
) -> None:
    home.write([home.request(at=time.time())])
    assert home.ship() == 0
    home.write([home.request(at=NOW - 400 * 86400.0)])
    assert elk.compare(home.settings, 0.0, as_json=True) == 1
    (found,) = counts(capsys)
    assert (found["expired"], found["waiting"], found["overdue"]) == (0, 1, 1)


def test_two_events_on_the_only_line_are_shipped_and_what_is_refused_of_it_is_all_kept(
    home: Installation, capsys: pytest.CaptureFixture[str]
) -> None:
    spoilt = {**home.request(), "event.duration": "long"}
    home.write([json.dumps(spoilt).encode() + json.dumps(home.request()).encode() + b"\n"])
    assert home.ship() == 1
    assert [letter["event.id"] for letter in home.dead_letters()] == [spoilt["event.id"], ""]
    assert elk.compare(home.settings, 0.0, as_json=True) == 0
    (found,) = counts(capsys)
    assert (found["journal"], found["there"], found["refused"]) == (2, 1, 1)


def test_a_backfill_says_what_is_still_refused(home: Installation, capsys: pytest.CaptureFixture[str]) -> None:
    home.write([{**home.request(), "event.duration": "long"}])
    assert home.ship() == 1
    for _ in range(2):
        assert elk.backfill(home.settings, 0.0) == 1
        assert "dead-letters.jsonl says which, and why" in capsys.readouterr().out
    assert len(home.dead_letters()) == 1


def test_what_was_refused_and_is_there_now_is_there(
    home: Installation, prepared_elastic: ElasticServer, capsys: pytest.CaptureFixture[str]
) -> None:
    document = home.request()
    spoilt = {**document, "event.duration": "long"}
    home.write([spoilt])
    assert home.ship() == 1
    assert elk.compare(home.settings, 0.0, as_json=True) == 0
    assert (counts(capsys)[0]["refused"], len(home.dead_letters())) == (1, 1)
    with prepared_elastic.connect() as client:
        stream = REQUESTS.name(home.namespace)
        client.index(index=stream, id=document["event.id"], document=document, op_type="create")
    assert elk.compare(home.settings, 0.0, as_json=True) == 0
    (found,) = counts(capsys)
    assert (found["refused"], found["there"]) == (0, 1)


def test_what_the_server_may_have_deleted_by_now_is_not_missing(
    home: Installation, capsys: pytest.CaptureFixture[str]
) -> None:
    old = home.request(at=NOW - 400 * 86400.0)
    home.write([old])
    Checkpoints(home.settings.state.ship / "checkpoint.json").advance(old["event.id"], 1 << 20)
    assert elk.compare(home.settings, 0.0, as_json=True) == 0
    assert counts(capsys)[0]["expired"] == 1


def test_an_event_that_is_there_twice_is_told(
    home: Installation, prepared_elastic: ElasticServer, capsys: pytest.CaptureFixture[str]
) -> None:
    document = home.request()
    home.write([document])
    assert home.ship() == 0
    with prepared_elastic.connect() as client:
        client.index(index=REQUESTS.name(home.namespace), document=document, op_type="create")
    assert home.check() == 1
    assert "1 are there more than once" in capsys.readouterr().out


def test_an_alert_that_was_written_again_after_a_crash_is_there_once_even_after_a_rollover(
    home: Installation, prepared_elastic: ElasticServer
) -> None:
    event = AlertEvent(at=NOW, event_id="mine", action="firing", rule_id="vram", rule_name="memory")
    home.write([origin(home.namespace).document(event), home.request(), home.request()], "watch-1")
    assert home.ship() == 0
    with prepared_elastic.connect() as client:
        client.indices.rollover(alias=ALERTS.name(home.namespace))
    home.write([home.request(request_id="first"), origin(home.namespace).document(event)], "watch-2")
    assert home.ship() == 0
    assert home.check() == 0


@pytest.mark.parametrize(
    ("text", "moment"),
    [(None, 0.0), ("2026-01-31", 1769817600.0), ("2026-01-31T12:00Z", 1769860800.0), ("36h", NOW - 129600.0)],
)
def test_a_moment_is_a_date_or_how_long_ago(text: str | None, moment: float) -> None:
    assert moment_of(text, NOW) == moment


def test_a_moment_that_is_none_is_told() -> None:
    with pytest.raises(BadConfiguration, match=r"--since is 'soon': give a moment such as 2026-01-31T12:00Z"):
        moment_of("soon")


def test_ship_follows_the_journal_one_at_a_time_waits_for_the_server_and_ends_cleanly(
    home: Installation, prepared_elastic: ElasticServer
) -> None:
    home.write([home.request(request_id="first")])
    with fault_proxy(prepared_elastic.port) as proxy:
        proxy.refusing.set()
        dials = [f"--state={home.directory}", f"--elastic={proxy.url}"]
        first = start(home, prepared_elastic, "ship", *dials)
        until(lambda: proxy.faulty > 1)
        report = read_report(home.settings.state.ship / FILE)
        assert report is not None
        assert report.state == "waiting"
        assert "says 429" in str(report.problem)
        second = start(home, prepared_elastic, "ship", "--once", *dials)
        assert second.wait(30) == 2
        assert f"Process {first.pid} ships {home.directory} already" in second.communicate()[1]
        proxy.refusing.clear()
        journal = home.settings.state.journal / "serve-1.jsonl"
        shipped = home.settings.state.ship / "checkpoint.json"
        until(lambda: sum(read_checkpoints(shipped).values()) == journal.stat().st_size)
        home.write([home.request(request_id="second")])
        until(lambda: sum(read_checkpoints(shipped).values()) == journal.stat().st_size)
        first.send_signal(signal.SIGTERM)
        assert first.wait(30) == 0
    said = first.communicate()[1]
    assert said.count("says 429") == 1, "once, however often it tries"
    assert "Elasticsearch takes events again" in said
    report = read_report(home.settings.state.ship / FILE)
    assert report is not None
    assert (report.state, report.created, report.problem) == ("stopped", 2, None)
    assert home.check() == 0


def start(home: Installation, server: ElasticServer, *arguments: str) -> subprocess.Popen[str]:
    """`llmops ...`, with what it says kept."""
    environment = {
        "PYTHONPATH": str(Path(__file__).parents[2]),
        "LLMOPS_ELASTIC__PASSWORD": server.password,
        "LLMOPS_ELASTIC__LONGEST_WAIT_S": "0.2",
        "LLMOPS_ELASTIC__POLL_S": "0.1",
    }
    command = [sys.executable, "-m", "llmops", *arguments]
    return subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True, cwd=home.directory)


def until(holds: Callable[[], bool]) -> None:
    """Wait for it, half a minute at most."""
    deadline = time.monotonic() + 30
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.05)
