"""Apprise, through its `json://` service, against a real server."""

from __future__ import annotations

import logging
import subprocess
import sys
import time

import pytest

from llmops.notifiers import BadChannel, DeliveryFailed
from llmops.notifiers.apprise import Apprise
from llmops.notifiers.letter import letter_of
from tests.notifiers.notices import item, notification
from tests.notifiers.servers import Receiver, receiver


def url_of(server: Receiver, dials: str = "cto=2") -> str:
    return f"json://me:secret@{server.place}/secret?{dials}"


def refused(channel: Apprise) -> DeliveryFailed:
    with pytest.raises(DeliveryFailed) as failed:
        channel.deliver(notification())
    assert "secret" not in str(failed.value)
    return failed.value


@pytest.mark.parametrize(
    ("action", "severity", "kind"),
    [("firing", "page", "failure"), ("firing", "ticket", "warning"), ("resolved", "page", "success")],
)
def test_a_service_gets_the_letter_and_how_bad_it_is(action: str, severity: str, kind: str) -> None:
    told = notification(item(action, severity=severity, name="显存即将用尽 <b>&amp;", reason=r"a\nb :smile:"))
    with receiver(200) as server:
        Apprise([url_of(server)]).deliver(told)
    (body,) = server.bodies
    assert (body["title"], body["type"]) == (told.title, kind)
    assert body["message"].strip() == letter_of(told).strip()


def test_a_mixed_message_is_as_bad_as_what_still_fires() -> None:
    with receiver(200) as server:
        Apprise([url_of(server)]).deliver(notification(item(severity="ticket"), item("resolved")))
    assert server.bodies[0]["type"] == "warning"


@pytest.mark.parametrize("status", [500, 404, 302])
def test_a_failure_names_scheme_and_place_only(status: int, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "apprise")
    with receiver(status) as server:
        failed = refused(Apprise([url_of(server)]))
    assert (str(failed), failed.is_final) == ("not taken by json (place 1 in the list)", False)
    assert server.paths == ["/secret"]
    assert "secret" not in caplog.text


def test_another_try_goes_only_to_the_service_that_did_not_take_it() -> None:
    with receiver(200) as good, receiver(500, 200) as moody:
        channel = Apprise([url_of(good), url_of(moody)])
        assert "place 2" in str(refused(channel))
        channel.deliver(notification())
        channel.deliver(notification(item("resolved")))
    assert (len(good.bodies), len(moody.bodies)) == (2, 3)


def test_a_service_that_hangs_costs_a_timeout_and_no_more() -> None:
    began = time.monotonic()
    with receiver(0) as server:
        refused(Apprise([url_of(server, "rto=0.3")]))
    assert time.monotonic() - began < 5.0


def test_nobody_there_is_worth_another_try() -> None:
    with receiver(200) as server:
        url = url_of(server)
    assert not refused(Apprise([url])).is_final


@pytest.mark.parametrize(
    ("url", "named"),
    [("nonsense://secret", "nonsense (place 2"), ("secret", "URL (place 2"), ("tgram://secret", "tgram (place 2")],
)
def test_a_url_that_is_none_is_told_by_its_place_and_never_shown(url: str, named: str) -> None:
    with pytest.raises(BadChannel) as told:
        Apprise(["json://127.0.0.1", url])
    assert str(told.value) == f"alerts.apprise: {named} in the list) is no URL that apprise can use."


def test_what_apprise_writes_of_an_address_reaches_no_log() -> None:
    """In a program of its own: another test may have quietened apprise in this one."""
    code = (
        "import logging\nlogging.basicConfig(level=1)\n"
        "from llmops.notifiers.apprise import Apprise\nfrom llmops.notifiers import BadChannel\n"
        "try:\n    Apprise(['tgram://secret'])\nexcept BadChannel as error:\n    print(error)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "place 1" in done.stdout
    assert "secret" not in done.stdout + done.stderr
