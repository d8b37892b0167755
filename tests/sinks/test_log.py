from __future__ import annotations

import contextlib
import fcntl
import io
import json
import logging
import os
import re
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from loguru import logger

from llmops.sinks import JournalFile, LoguruSink, adopt_loggers, configure_log


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def _document(message: str, level: str = "info") -> dict[str, object]:
    return {"@timestamp": "t", "event.id": "1", "log.level": level, "message": message}


@pytest.fixture
def journal(tmp_path: Path) -> JournalFile:
    return JournalFile(tmp_path, "s", started_at=0.0, process_id=1)


def test_a_document_goes_whole_to_the_journal_and_as_a_line_to_the_human_log(journal: JournalFile) -> None:
    stream, sink = io.StringIO(), LoguruSink(journal)
    configure_log("INFO", stream)
    sink.write([_document("200 stop"), _document("quiet", "debug"), _document("500 oom", "error")])
    sink.tick()
    sink.close()
    lines = stream.getvalue().splitlines()
    assert [re.sub(r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d ", "", line) for line in lines] == [
        "INFO     200 stop",
        "ERROR    500 oom",
    ]
    written = [json.loads(line) for line in journal.path.read_text().splitlines()]
    assert written == [_document("200 stop"), _document("quiet", "debug"), _document("500 oom", "error")]


def test_without_a_journal_the_human_log_still_speaks() -> None:
    stream, sink = io.StringIO(), LoguruSink()
    configure_log("INFO", stream)
    sink.write([_document("hello")])
    sink.tick()
    sink.close()
    assert "hello" in stream.getvalue()


def test_messages_without_a_document_stay_out_of_the_journal(journal: JournalFile) -> None:
    configure_log("INFO", io.StringIO())
    logger.info("a word")
    logging.getLogger("llmops.x").warning("another")
    assert not journal.path.exists()


HOSTILE = "{0} {x} {} }} %s %d <red>tag</red> \x1b[2J\r\nforged 你好"


@pytest.mark.parametrize("level", ["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"])
def test_hostile_text_is_one_harmless_line(journal: JournalFile, level: str) -> None:
    stream = io.StringIO()
    configure_log("DEBUG", stream)
    LoguruSink(journal).write([_document(HOSTILE, level.lower())])
    logging.getLogger("x").log(logging.getLevelName(level), "%s", HOSTILE)
    lines = stream.getvalue().splitlines()
    assert len(lines) == 2
    assert all(line.endswith(r"{0} {x} {} }} %s %d <red>tag</red> \x1b[2J\r\nforged 你好") for line in lines)
    assert json.loads(journal.path.read_text())["message"] == HOSTILE


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=st.text())
def test_any_message_is_one_line(text: str) -> None:
    stream = io.StringIO()
    configure_log("INFO", stream)
    LoguruSink().write([_document(text)])
    assert stream.getvalue().count("\n") == 1
    assert len(stream.getvalue().splitlines()) == 1


@pytest.mark.parametrize(("no_color", "coloured"), [("", True), ("1", False)])
def test_colour_is_for_terminals_that_want_it(monkeypatch: pytest.MonkeyPatch, no_color: str, coloured: bool) -> None:
    monkeypatch.setenv("NO_COLOR", no_color)
    terminal, pipe = _Terminal(), io.StringIO()
    for stream in (terminal, pipe):
        configure_log("INFO", stream)
        logger.error("x")
    assert ("\x1b[31mERROR" in terminal.getvalue()) is coloured
    assert "\x1b" not in pipe.getvalue()


def test_a_terminal_without_unicode_gets_escapes_instead_of_an_error() -> None:
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding="ascii")
    configure_log("INFO", stream)
    logger.info("你")
    assert rb"\u4f60" in raw.getvalue()


def test_a_closed_terminal_costs_the_line_and_nothing_else(capsys: pytest.CaptureFixture[str]) -> None:
    stream = io.StringIO()
    configure_log("INFO", stream)
    stream.close()
    logger.info("x")
    assert capsys.readouterr().err == ""


def test_a_traceback_is_indented_and_shows_no_values_of_variables() -> None:
    stream = io.StringIO()
    configure_log("INFO", stream)
    secret = "hunter" + "2"
    try:
        raise RuntimeError("bad\n2026-01-01 00:00:00 INFO forged\x1b[0m", len(secret))
    except RuntimeError:
        logging.getLogger("x").exception("it failed")
    first, *rest = stream.getvalue().splitlines()
    assert first.endswith("ERROR    it failed")
    assert all(line.startswith("    ") for line in rest)
    assert "hunter2" not in stream.getvalue() and "\x1b" not in stream.getvalue()


def test_libraries_that_talk_at_every_request_may_only_warn() -> None:
    stream = io.StringIO()
    configure_log("DEBUG", stream)
    logging.getLogger("httpx").info("HTTP Request")
    logging.getLogger("uvicorn.error").warning("no shutdown in time")
    logging.getLogger("own").debug("detail")
    logging.getLogger("own").log(25, "between")
    text = stream.getvalue()
    assert "HTTP Request" not in text
    assert "no shutdown in time" in text and "detail" in text and "between" in text


def test_a_library_that_brought_its_own_handler_is_adopted() -> None:
    stream = io.StringIO()
    configure_log("INFO", stream)
    library = logging.getLogger("a.library")
    library.addHandler(logging.NullHandler())
    library.propagate = False
    adopt_loggers(["a.library"])
    library.warning("heard")
    assert stream.getvalue().count("heard") == 1


def test_a_broken_log_call_of_a_library_does_not_reach_its_caller(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logging, "raiseExceptions", True)
    configure_log("INFO", io.StringIO())
    logging.getLogger("x").info("%d", "no number")
    assert "Logging error" in capsys.readouterr().err
    assert sys.exc_info() == (None, None, None)


def test_an_alert_that_the_console_tells_is_in_the_journal_only() -> None:
    stream = io.StringIO()
    configure_log("INFO", stream)
    for action in ("pending", "firing", "resolved"):
        document = {
            "event.dataset": "llmops.alert",
            "event.action": action,
            "log.level": "warning",
            "message": f"alert {action}",
        }
        LoguruSink().write([document])
    assert "pending" in stream.getvalue()
    assert "firing" not in stream.getvalue()
    assert "resolved" not in stream.getvalue()


def test_a_pipe_that_nobody_reads_stops_neither_the_record_nor_the_log(journal: JournalFile) -> None:
    reading, writing = os.pipe()
    stream = os.fdopen(writing, "w")
    try:
        configure_log("INFO", stream)
        sink = LoguruSink(journal)
        for number in range(3000):
            sink.write([_document(f"line {number} {'x' * 50}")])
        sink.tick()
        assert len(journal.path.read_text().splitlines()) == 3000
        os.read(reading, 1 << 20)
        logging.getLogger("llmops.x").warning("read again")
        told = os.read(reading, 1 << 20).decode()
        assert re.match(r"\(\d+ lines were left out: nobody read them\)\n", told)
        assert "read again" in told
    finally:
        configure_log("INFO", io.StringIO())
        os.close(reading)
        with contextlib.suppress(OSError):
            stream.close()


def test_what_follows_a_line_that_was_cut_begins_a_line_of_its_own() -> None:
    reading, writing = os.pipe()
    stream = os.fdopen(writing, "w")
    try:
        fcntl.fcntl(reading, fcntl.F_SETPIPE_SZ, 4096)
        configure_log("INFO", stream)
        logging.getLogger("llmops.x").warning("x" * 10_000)
        told = os.read(reading, 1 << 20).decode()
        assert told.endswith("x"), "the pipe took only a part"
        logging.getLogger("llmops.x").warning("next")
        lines = os.read(reading, 1 << 20).decode().splitlines()
        assert lines[0] == "", "the end of what was cut"
        assert lines[-1].endswith("next")
    finally:
        configure_log("INFO", io.StringIO())
        os.close(reading)
        with contextlib.suppress(OSError):
            stream.close()


def test_a_level_that_nobody_knows_is_no_reason_to_lose_what_follows(journal: JournalFile) -> None:
    stream = io.StringIO()
    configure_log("INFO", stream)
    LoguruSink(journal).write([_document("odd", "notice"), _document("next")])
    assert [line.split()[-1] for line in stream.getvalue().splitlines()] == ["odd", "next"]
    assert len(journal.path.read_text().splitlines()) == 2
