"""The webhook against a real server that takes, refuses, fails, redirects, hangs and is away."""

from __future__ import annotations

import time

import pytest

from llmops.notifiers import DeliveryFailed, Webhook
from tests.notifiers.notices import notification
from tests.notifiers.servers import receiver


def refused(url: str, timeout_s: float = 2.0) -> DeliveryFailed:
    with pytest.raises(DeliveryFailed) as failed:
        Webhook(url, timeout_s=timeout_s).deliver(notification())
    assert "secret" not in str(failed.value)
    return failed.value


@pytest.mark.parametrize("status", [200, 202, 204])
def test_a_notification_is_posted_as_json(status: int) -> None:
    with receiver(status) as server:
        Webhook(server.url).deliver(notification())
    assert server.bodies == [notification().to_json()]
    assert server.headers[0]["Content-Type"] == "application/json"


@pytest.mark.parametrize("status", [500, 503, 429])
def test_a_passing_failure_is_worth_another_try(status: int) -> None:
    with receiver(status) as server:
        failed = refused(server.url)
    assert (str(failed), failed.is_final) == (f"the webhook answered {status}", False)


@pytest.mark.parametrize("status", [400, 401, 404, 410])
def test_a_refusal_is_final(status: int) -> None:
    with receiver(status) as server:
        assert refused(server.url).is_final


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_redirect_is_never_followed(status: int) -> None:
    with receiver(status) as server:
        assert refused(server.url).is_final
    assert server.paths == ["/hook?token=secret"]


def test_a_server_that_hangs_costs_a_timeout_and_no_more() -> None:
    began = time.monotonic()
    with receiver(0) as server:
        failed = refused(server.url, timeout_s=0.2)
    assert time.monotonic() - began < 5.0
    assert (str(failed), failed.is_final) == ("the webhook did not answer (ReadTimeout)", False)


def test_nobody_at_the_address_is_a_failed_delivery() -> None:
    with receiver(200) as server:
        url = server.url
    assert "ConnectError" in str(refused(url))


@pytest.mark.parametrize("url", ["ftp://example.org/x", "nonsense", "http://[::1", "file:///etc/passwd"])
def test_an_address_that_is_none_is_not_tried_again(url: str) -> None:
    failed = refused(url)
    assert (str(failed), failed.is_final) == ("the webhook address is no http address", True)
