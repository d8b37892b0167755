"""The webhook against a real server that takes, refuses, fails, redirects, hangs and is away."""

from __future__ import annotations

import base64
import hashlib
import hmac
import time

import pytest

from llmops.notifiers import DeliveryFailed, Webhook
from llmops.notifiers.webhook import signature_of
from tests.notifiers.notices import item, notification
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


def test_a_receiver_that_shares_the_key_knows_who_wrote_it_and_when() -> None:
    key = b"0123456789abcdef01234567"
    with receiver(200) as server:
        Webhook(server.url, key, clock=lambda: 1_700_000_000.9).deliver(notification(item(name="显存即将用尽")))
    sent = server.headers[0]
    assert (sent["webhook-id"], sent["webhook-timestamp"]) == (notification().id, "1700000000")
    signed = f"{sent['webhook-id']}.{sent['webhook-timestamp']}.".encode() + server.raw[0]
    expected = base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
    assert sent["webhook-signature"] == f"v1,{expected}"
    assert server.bodies[0]["name"] == "显存即将用尽"


def test_the_example_of_the_standard_is_signed_as_it_says() -> None:
    key = base64.b64decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    body = b'{"test": 2432232314}'
    signed = b"msg_p5jXN8AQM9LWM0D4loKWxJek.1614265330." + body
    assert signature_of(key, signed) == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_without_a_key_nothing_is_signed_and_another_try_still_has_the_same_id() -> None:
    with receiver(200) as server:
        for _ in range(2):
            Webhook(server.url).deliver(notification())
    assert [each["webhook-id"] for each in server.headers] == [notification().id] * 2
    assert "webhook-signature" not in server.headers[0]
