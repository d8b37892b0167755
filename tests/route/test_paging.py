"""Answers that come too late: one page, one end of it, with requests that open, over a restart of watch."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from llmops.overview.objectives import objectives_of
from llmops.recording import open_record
from llmops.settings import AlertSettings, ObjectiveSettings, Settings, StateSettings, WatchSettings
from llmops.store import open_store
from llmops.watch import build
from llmops.watching.channels import notifiers
from llmops.watching.looking import Watch
from tests.notifiers.mail_server import MailServer, mail_server
from tests.notifiers.servers import Receiver, receiver
from tests.route.processes import Box, until

MAIL = {
    "email_host": "127.0.0.1",
    "email_security": "none",
    "email_from": "llmops@example.org",
    "email_to": ("ann@example.org",),
}
SLOW_TOKENS, FAST_TOKENS = 70, 1
"""Of an engine that writes 20 tokens a second: 3.5 s and an instant."""


def slow_box(folder: Path, **dials: object) -> Box:
    """A limit that the user wrote pages also where the echo, at 20 tokens/s, cannot meet it."""
    return Box(
        folder,
        engine__echo_tokens_per_s=20,
        objectives__keep_s=20,
        objectives__latency_threshold_s=3.0,
        admission__rate_per_s=100_000,
        admission__burst=100_000,
        **dials,
    )


def ask(box: Box, max_tokens: int, times: int) -> None:
    """So many questions, eight at once."""
    body = {"messages": [{"role": "user", "content": "word " * 100}], "max_tokens": max_tokens}
    with httpx.Client(timeout=60) as http, ThreadPoolExecutor(8) as crowd:
        answers = crowd.map(lambda _: http.post(f"{box.url}/v1/chat/completions", json=body), range(times))
        assert {answer.status_code for answer in answers} == {200}


def degrade(box: Box) -> None:
    """One request in six takes more than 3 s."""
    ask(box, FAST_TOKENS, 50)
    ask(box, SLOW_TOKENS, 10)


def recover(box: Box) -> None:
    """So much good that the failures are less than the budget of every window."""
    ask(box, FAST_TOKENS, 1100)


def heard(server: Receiver) -> list[tuple[str, str]]:
    return [(each["action"], each["rule_id"]) for body in list(server.bodies) for each in body["alerts"]]


def check(box: Box, server: Receiver, mail: MailServer) -> None:
    """One page, one end, and the requests that both name can be opened."""
    assert heard(server) == [("firing", "slo.latency.page"), ("resolved", "slo.latency.page")]
    name = "Requests finish in under 3 s: the error budget burns fast"
    assert mailed(mail) == [f"[llmops] PAGE firing: {name}", f"[llmops] PAGE resolved: {name}"]
    for body in server.bodies:
        assert body["runbook"] == "docs/runbooks/slo.md"
        assert len(body["exemplars"]) == 3
        for request_id in body["exemplars"]:
            opened = box.call("requests", "show", request_id)
            assert (opened.returncode, request_id in opened.stdout) == (0, True)


def mailed(server: MailServer) -> list[str]:
    return [str(mail["Subject"]) for mail in list(server.mails)]


@contextmanager
def watching(box: Box, url: str, mail_port: int, offset_s: list[float]) -> Iterator[Watch]:
    """A watch of this process, whose clock is ahead by as much as the test says."""
    settings = Settings(
        state=StateSettings(directory=box.directory),
        watch=WatchSettings(webhook_url=url, serve_url=box.url),
        objectives=ObjectiveSettings(latency_threshold_s=3.0),
        alerts=AlertSettings(language="en", resolve_hold_s=0, email_port=mail_port, **MAIL),
    )
    objectives = objectives_of(settings.objectives)
    store, bus = open_store(settings.state.store, slow_s=3.0), open_record(settings, "watch")
    watch = build(
        settings,
        box.url,
        store,
        bus,
        objectives,
        notifiers(settings),
        clock=lambda: time.time() + offset_s[0],
        stopwatch=lambda: time.monotonic() + offset_s[0],  # time passes: nobody set the clock
    )
    yield watch
    watch.close()
    bus.close()
    store.close()


def look_until(watch: Watch, condition: Any, timeout_s: float = 30.0) -> None:
    def looked() -> Any:
        watch.tick()
        return condition()

    until(looked, timeout_s)


@pytest.mark.route
def test_slow_answers_are_one_page_and_one_end_of_it_with_a_clock_that_is_ahead(tmp_path: Path) -> None:
    box, offset_s = slow_box(tmp_path), [0.0]
    with box.program("serve"), receiver(200) as server, mail_server() as mail:
        box.until_ready()
        degrade(box)
        with watching(box, server.url, mail.port, offset_s) as watch:
            look_until(watch, lambda: heard(server) and mailed(mail))
        recover(box)
        with watching(box, server.url, mail.port, offset_s) as watch:
            look_until(watch, lambda: all(state.clear_since for state in (watch._states or {}).values()))
            offset_s[0] += 301.0
            look_until(watch, lambda: len(heard(server)) == len(mailed(mail)) == 2)
            offset_s[0] += 600.0
            for _ in range(5):
                watch.tick()
        check(box, server, mail)


@pytest.mark.route
@pytest.mark.timeout(300)
def test_slow_answers_are_one_page_within_two_minutes_and_one_end_of_it(tmp_path: Path) -> None:
    with receiver(200) as server, mail_server() as mail:
        dials = {f"alerts__{name}": json.dumps(value) if name == "email_to" else value for name, value in MAIL.items()}
        box = slow_box(tmp_path, watch__webhook_url=server.url, alerts__email_port=mail.port, **dials)
        with box.program("serve"):
            box.until_ready()
            with box.program("watch"):
                began = time.monotonic()
                degrade(box)
                left_s = 120 - (time.monotonic() - began)
                until(lambda: heard(server) and mailed(mail), left_s, lambda: box.log("watch"))
            with box.program("watch"):
                recover(box)
                until(lambda: len(heard(server)) == len(mailed(mail)) == 2, 150, lambda: box.log("watch"))
            check(box, server, mail)
