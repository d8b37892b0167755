"""The webhook against a real server that takes, refuses, fails, redirects, hangs and is away."""

from __future__ import annotations

import time

import pytest

from llmops.notifiers import DeliveryFailed, Webhook
from tests.notifiers.notices import notice
from tests.notifiers.servers import receiver


def webhook(url: str, pauses: list[float], timeout_s: float = 2.0) -> Webhook:
    return Webhook(url, timeout_s=timeout_s, pauses_s=(1.0, 2.0), sleep=pauses.append)


@pytest.mark.parametrize("status", [200, 202, 204])
def test_a_notice_is_posted_as_json(status: int) -> None:
    pauses: list[float] = []
    with receiver(status) as server:
        webhook(server.url, pauses).deliver(notice())
    assert (server.bodies, pauses) == ([notice().to_json()], [])
    assert server.headers[0]["Content-Type"] == "application/json"


@pytest.mark.parametrize("status", [500, 503, 429])
def test_a_passing_failure_is_tried_again_with_pauses(status: int) -> None:
    pauses: list[float] = []
    with receiver(status, status, 200) as server:
        webhook(server.url, pauses).deliver(notice())
    assert (len(server.bodies), pauses) == (3, [1.0, 2.0])


def test_after_three_failures_it_gives_up_and_does_not_name_the_address() -> None:
    with receiver(500) as server, pytest.raises(DeliveryFailed) as failed:
        webhook(server.url, []).deliver(notice())
    assert str(failed.value) == "the webhook answered 500; given up after 3 tries"
    assert len(server.bodies) == 3


@pytest.mark.parametrize("status", [400, 401, 404, 410])
def test_a_refusal_is_final(status: int) -> None:
    with receiver(status) as server, pytest.raises(DeliveryFailed, match=f"answered {status}; not tried again"):
        webhook(server.url, []).deliver(notice())
    assert len(server.bodies) == 1


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_redirect_is_never_followed(status: int) -> None:
    with receiver(status) as server, pytest.raises(DeliveryFailed, match=f"answered {status}"):
        webhook(server.url, []).deliver(notice())
    assert server.paths == ["/hook?token=secret"]


def test_a_server_that_hangs_costs_three_timeouts_and_no_more() -> None:
    began = time.monotonic()
    with receiver(0) as server, pytest.raises(DeliveryFailed, match="did not answer") as failed:
        webhook(server.url, [], timeout_s=0.2).deliver(notice())
    assert time.monotonic() - began < 5.0
    assert "secret" not in str(failed.value)


def test_nobody_at_the_address_is_a_failed_delivery() -> None:
    with receiver(200) as server:
        url = server.url
    pauses: list[float] = []
    with pytest.raises(DeliveryFailed, match="ConnectError"):
        webhook(url, pauses).deliver(notice())
    assert pauses == [1.0, 2.0]


@pytest.mark.parametrize("url", ["ftp://example.org/x", "nonsense", "http://[::1", "file:///etc/passwd"])
def test_an_address_that_is_none_is_not_tried_again(url: str) -> None:
    with pytest.raises(DeliveryFailed, match="no http address; not tried again"):
        webhook(url, []).deliver(notice())
