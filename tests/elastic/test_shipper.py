"""What the shipper keeps on disk: how far it is, what was refused; and what it does when the disk does not take it."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from llmops.elastic.checkpoints import Checkpoints, read_checkpoints
from llmops.elastic.client import connect
from llmops.elastic.dead_letters import DeadLetters, read_dead_letters
from llmops.elastic.errors import ElasticProblem, JournalUnread
from llmops.elastic.journal import Batch, Line, batches
from llmops.elastic.report import ShipReport, read_report, write_report
from llmops.settings import ElasticSettings
from llmops.shell import elk
from llmops.shell.ship import follow
from tests.elastic.server import ElasticServer
from tests.elastic.shipments import NOW, Installation


def test_a_checkpoint_is_read_back_and_one_that_is_damaged_counts_as_none(tmp_path: Path) -> None:
    file = tmp_path / "ship" / "checkpoint.json"
    Checkpoints(file).advance("a", 10)
    Checkpoints(file).advance("b", 5)
    assert read_checkpoints(file) == {"a": 10, "b": 5}
    assert file.stat().st_mode & 0o777 == 0o600
    for damaged in ("", "[]", '{"version": 2, "files": {}}', '{"version": 1, "files": {"a": "x"}}'):
        file.write_text(damaged)
        assert read_checkpoints(file) == {}


def test_a_checkpoint_that_cannot_be_written_stays_where_it_was(tmp_path: Path) -> None:
    file = tmp_path / "checkpoint.json"
    kept = Checkpoints(file)
    kept.advance("a", 10)
    away = file.rename(tmp_path / "away")
    file.mkdir()
    with pytest.raises(OSError, match="directory"):
        kept.advance("a", 20)
    file.rmdir()
    away.rename(file)
    assert kept.of("a") == 10
    assert read_checkpoints(file) == {"a": 10}


def test_a_dead_letter_is_kept_once_and_a_torn_one_is_written_anew(tmp_path: Path) -> None:
    file = tmp_path / "dead-letters.jsonl"
    line = Line(7, b"\xffgarbage", fault="no event")
    batch = Batch("f", tmp_path / "j", 0, 20, (line,))
    assert DeadLetters(file).keep(batch, [(line, "no event")], 0.0) == 1
    os.truncate(file, file.stat().st_size - 3)
    letters = DeadLetters(file)
    assert letters.keep(batch, [(line, "no event")], 0.0) == 1
    assert letters.keep(batch, [(line, "no event")], 0.0) == 0
    assert DeadLetters(file).keep(batch, [(line, "no event")], 0.0) == 0
    (letter,) = read_dead_letters(file)
    assert letter["line"].encode("utf-8", "surrogateescape") == b"\xffgarbage"


def test_a_report_of_a_process_that_is_gone_says_so(tmp_path: Path) -> None:
    file = tmp_path / "status.json"
    assert read_report(file) is None
    write_report(file, ShipReport(started_at=0.0, at=0.0, process_id=os.getpid(), state="shipping", created=3))
    report = read_report(file)
    assert report is not None
    assert report.sentence() == "shipping: 3 created, 0 there already, 0 refused"
    write_report(file, ShipReport(started_at=0.0, at=0.0, process_id=1 << 30, state="shipping"))
    report = read_report(file)
    assert report is not None
    assert (report.state, report.problem) == ("stopped", "it ended without a word")


def test_a_batch_is_whole_lines_and_bounded(tmp_path: Path) -> None:
    home = Installation(tmp_path, Installation.nowhere(), "default")
    home.write([home.request() for _ in range(1200)])
    home.write([b"torn"])
    found = list(batches(home.settings.state.journal, "default"))
    assert [len(batch.lines) for batch in found] == [500, 500, 200]
    assert [batch.start for batch in found[1:]] == [batch.end for batch in found[:-1]]
    assert found[-1].end == (home.settings.state.journal / "serve-1.jsonl").stat().st_size - 4


@pytest.mark.elastic
def test_while_the_disk_does_not_take_the_checkpoint_nothing_is_lost_or_sent_twice(
    prepared_elastic: ElasticServer, namespace: str, tmp_path: Path
) -> None:
    home = Installation(tmp_path, prepared_elastic.dials(), namespace)
    home.write([home.request(), home.request()])
    with prepared_elastic.connect() as client:
        shipper = home.shipper(client)
        blocked = home.settings.state.ship / "checkpoint.json"
        blocked.mkdir(parents=True)
        with pytest.raises(OSError, match="directory"):
            shipper.look()
        client.indices.rollover(alias=f"logs-llmops.request-{namespace}")
        blocked.rmdir()
        assert shipper.look() == 2
        assert (shipper.report.created, shipper.report.known) == (0, 2)
    assert home.check() == 0


@pytest.mark.elastic
def test_places_in_files_that_are_gone_are_forgotten(
    prepared_elastic: ElasticServer, namespace: str, tmp_path: Path
) -> None:
    home = Installation(tmp_path, prepared_elastic.dials(), namespace)
    home.write([home.request()], "old")
    assert home.ship() == 0
    (home.settings.state.journal / "old.jsonl").unlink()
    document = home.request()
    home.write([document], "new")
    assert home.ship() == 0
    assert list(read_checkpoints(home.settings.state.ship / "checkpoint.json")) == [document["event.id"]]


@pytest.mark.elastic
def test_places_are_forgotten_while_it_follows_and_what_is_back_is_asked_for_before_it_is_sent(
    prepared_elastic: ElasticServer, namespace: str, tmp_path: Path
) -> None:
    home = Installation(tmp_path, prepared_elastic.dials(), namespace)
    documents = [home.request() for _ in range(3)]
    for name, document in zip("abc", documents, strict=True):
        home.write([document], name)
    places = home.settings.state.ship / "checkpoint.json"
    with prepared_elastic.connect() as client:
        shipper = home.shipper(client)
        assert shipper.look() == 3
        away = (home.settings.state.journal / "a.jsonl").rename(tmp_path / "a.jsonl")
        home.write([document := home.request()], "d")
        assert shipper.look() == 1
        kept = {each["event.id"] for each in (*documents[1:], document)}
        assert read_checkpoints(places).keys() == kept
        client.indices.rollover(alias=f"logs-llmops.request-{namespace}")
        away.rename(home.settings.state.journal / "a.jsonl")
        assert shipper.look() == 1
        assert (shipper.report.created, shipper.report.known) == (4, 1)
    assert home.check() == 0


@pytest.mark.elastic
def test_what_a_backfill_leaves_out_is_shipped_later_and_its_place_is_kept(
    prepared_elastic: ElasticServer, namespace: str, tmp_path: Path
) -> None:
    home = Installation(tmp_path, prepared_elastic.dials(), namespace)
    home.write([home.request()])
    assert home.ship() == 0
    home.write([home.request(at=NOW - 3600), b"garbage\n"])
    with prepared_elastic.connect() as client:
        assert home.shipper(client).refill(NOW) == 0
    assert home.ship() == 1, "the garbage is refused"
    assert len(home.dead_letters()) == 1
    assert home.check() == 0


@pytest.mark.elastic
def test_a_backfill_where_nobody_ships_leaves_no_place_that_would_hold_the_journal_back(
    prepared_elastic: ElasticServer, namespace: str, tmp_path: Path
) -> None:
    home = Installation(tmp_path, prepared_elastic.dials(), namespace)
    home.write([home.request()])
    assert elk.backfill(home.settings, 0.0) == 0
    assert not (home.settings.state.ship / "checkpoint.json").exists()
    with prepared_elastic.connect() as client:
        client.indices.refresh(index=f"logs-llmops.request-{namespace}")
        assert client.count(index=f"logs-llmops.request-{namespace}")["count"] == 1


@pytest.mark.elastic
@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (Path.mkdir, "is a directory"),
        (lambda path: path.symlink_to("nowhere"), "no such file or directory"),
        (lambda path: path.symlink_to(path), "too many levels of symbolic links"),
    ],
)
def test_what_cannot_be_read_is_told_after_all_else_is_shipped(
    make: Callable[[Path], None],
    reason: str,
    prepared_elastic: ElasticServer,
    namespace: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    home = Installation(tmp_path, prepared_elastic.dials(), namespace)
    home.write([home.request()])
    unreadable = home.settings.state.journal / "serve-0.jsonl"
    make(unreadable)
    sentence = f"{unreadable} can't be read ({reason}): let this user read it, or move it away."
    for verb, ask, shown in (
        ("ship", home.ship, ""),
        ("elk backfill", lambda: elk.backfill(home.settings, 0.0), "0 events were missing"),
        ("elk check", home.check, f"logs-llmops.request-{namespace}  1"),
    ):
        assert ask() == 2
        told = capsys.readouterr()
        assert told.err.splitlines()[-1] == f"llmops {verb}: {sentence}"
        assert shown in told.out
    report = read_report(home.settings.state.ship / "status.json")
    assert report is not None
    assert (report.created, report.problem) == (1, sentence)
    (unreadable.rmdir if unreadable.is_dir() else unreadable.unlink)()
    assert (home.ship(), home.check()) == (0, 0)


def test_a_journal_that_cannot_be_listed_is_told(tmp_path: Path) -> None:
    (tmp_path / "journal").write_text("no folder")
    with pytest.raises(JournalUnread, match=r"journal can't be read \(not a directory\)"):
        list(batches(tmp_path / "journal", "test"))
    assert list(batches(tmp_path / "none", "test")) == []


def test_a_journal_file_that_retention_removes_meanwhile_is_passed_over(tmp_path: Path) -> None:
    home = Installation(tmp_path, Installation.nowhere(), "test")
    home.write([home.request()], "a")
    home.write([home.request()], "b")
    found = batches(home.settings.state.journal, "test")
    first = next(found)
    for path in home.settings.state.journal.iterdir():
        path.unlink()
    assert len(first.lines) == 1
    assert list(found) == []


@pytest.mark.elastic
def test_what_ship_waits_for_stands_in_its_report_until_it_is_over(
    prepared_elastic: ElasticServer, namespace: str, tmp_path: Path
) -> None:
    home = Installation(tmp_path, prepared_elastic.dials(), namespace)
    home.write([home.request()])
    seen: list[tuple[str, str | None]] = []
    stop = threading.Event()

    def watch(report: ShipReport) -> None:
        seen.append((report.state, report.problem))
        if report.state == "up to date":
            stop.set()

    answers = iter([ElasticProblem("unreachable", "It is away.", passing=True)])

    def prepared() -> None:
        if problem := next(answers, None):
            raise problem

    with prepared_elastic.connect() as client:
        follow(home.shipper(client, on_progress=watch), prepared, stop, 0.01)
    assert seen[0] == ("waiting", "It is away.")
    assert seen[-1] == ("up to date", None)


@pytest.mark.parametrize(
    "dials",
    [
        {"api_key": "SEKRIT\nmore"},
        {"api_key": "schl\u00fcssel"},
        {"url": "http://127.0.0.1:99999"},
    ],
)
def test_what_can_never_work_is_one_sentence_without_the_secret(dials: dict[str, str]) -> None:
    with pytest.raises(ElasticProblem, match=r"API key that elastic names|elastic\.url is") as told:
        connect(ElasticSettings.model_validate(dials))
    assert "SEKRIT" not in str(told.value)


@pytest.mark.parametrize(
    "dials",
    [
        {"api_key": "c2VjcmV0\n"},
        {"username": "elastic", "password": "p\u00e4ssw\u20acrt"},
        {"url": "http://127.0.0.1"},
    ],
)
def test_keys_from_files_passwords_in_any_script_and_the_usual_port_do(dials: dict[str, str]) -> None:
    connect(ElasticSettings.model_validate(dials)).close()
