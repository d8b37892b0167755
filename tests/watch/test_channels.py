"""Which channels the dials open."""

from __future__ import annotations

import socket
from typing import Any

import pytest

from llmops.notifiers import BadChannel
from llmops.settings import Settings
from llmops.watch import run
from llmops.watching.channels import instance_of, notifiers

ALL: dict[str, Any] = {
    "email_host": "mail.example.org",
    "email_from": "llmops@example.org",
    "email_to": ("ops@example.org",),
    "apprise": ("json://127.0.0.1/x",),
    "alertmanager_url": "http://127.0.0.1:9093",
    "desktop": True,
}


def settings(**alerts: Any) -> Settings:
    return Settings.model_validate({"watch": {"webhook_url": "http://127.0.0.1:9/x"}, "alerts": alerts})


def test_the_terminal_is_always_there_and_nothing_else_by_itself() -> None:
    assert [each.name for each in notifiers(Settings())] == ["console"]


def test_every_channel_has_a_dial_and_a_name_of_its_own() -> None:
    names = [each.name for each in notifiers(settings(**ALL))]
    assert names == ["console", "webhook", "email", "apprise", "alertmanager", "desktop"]


def test_a_channel_that_cannot_be_opened_is_one_sentence_and_no_start(capsys: pytest.CaptureFixture[str]) -> None:
    wrong = settings(apprise=("tgram://secret",))
    with pytest.raises(BadChannel):
        notifiers(wrong)
    assert run(wrong) == 2
    told = capsys.readouterr().err
    assert told == "alerts.apprise: tgram (place 1 in the list) is no URL that apprise can use.\n"


@pytest.mark.parametrize(
    ("url", "instance"),
    [
        ("http://127.0.0.1:8000", f"{socket.gethostname()}:8000"),
        ("http://localhost:8000/", f"{socket.gethostname()}:8000"),
        ("https://me:secret@gpu-box/v", "gpu-box"),
        ("http://[::1]:80", f"{socket.gethostname()}:80"),
    ],
)
def test_an_instance_is_named_by_where_it_answers(url: str, instance: str) -> None:
    assert instance_of(url) == instance
