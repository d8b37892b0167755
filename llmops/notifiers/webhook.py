"""Tells another program: POSTs the notification as JSON, signed where a key is given, and follows no redirect."""

from __future__ import annotations

import base64
import hashlib
import hmac
import time
from collections.abc import Callable

from llmops.notifiers.notification import Notification
from llmops.notifiers.posting import TIMEOUT_S, as_body, post


class Webhook:
    """One address. Its headers are those of Standard Webhooks (standardwebhooks.com): `webhook-id` is the same for a
    repeated delivery, `webhook-timestamp` is the moment of the try, `webhook-signature` is there with a `key`."""

    name = "webhook"

    def __init__(
        self,
        url: str,
        key: bytes | None = None,
        *,
        timeout_s: float = TIMEOUT_S,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._url = url
        self._key = key
        self._timeout_s = timeout_s
        self._clock = clock

    def deliver(self, notification: Notification) -> None:
        body = as_body(notification.to_json())
        headers = {"webhook-id": notification.id, "webhook-timestamp": str(int(self._clock()))}
        if self._key is not None:
            signed = ".".join(headers.values()).encode() + b"." + body
            headers["webhook-signature"] = signature_of(self._key, signed)
        post("webhook", self._url, body, headers, self._timeout_s, "watch.webhook_url")


def signature_of(key: bytes, signed: bytes) -> str:
    """Version 1 of the standard: HMAC-SHA256 over `id.timestamp.body`."""
    return f"v1,{base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode()}"
