"""Tells another program: POSTs the notification as JSON, and follows no redirect."""

from __future__ import annotations

import httpx

from llmops.notifiers.errors import DeliveryFailed
from llmops.notifiers.notification import Notification

TIMEOUT_S = 5.0
_TOO_MANY_REQUESTS = 429


class Webhook:
    """One address. 2xx is success; a refusal (3xx, 4xx) is final; silence, 429 and 5xx are worth another try."""

    name = "webhook"

    def __init__(self, url: str, *, timeout_s: float = TIMEOUT_S) -> None:
        self._url = url
        self._timeout_s = timeout_s

    def deliver(self, notification: Notification) -> None:
        """Failures are told without the address: it may hold a secret."""
        try:
            with (
                httpx.Client(timeout=self._timeout_s, follow_redirects=False) as http,
                http.stream("POST", self._url, json=notification.to_json()) as answer,  # its body is nobody's business
            ):
                status = answer.status_code
        except (httpx.InvalidURL, httpx.UnsupportedProtocol):
            raise DeliveryFailed("the webhook address is no http address", is_final=True) from None
        except httpx.HTTPError as error:
            raise DeliveryFailed(f"the webhook did not answer ({type(error).__name__})") from None
        if not 200 <= status < 300:
            is_final = status < 500 and status != _TOO_MANY_REQUESTS
            raise DeliveryFailed(f"the webhook answered {status}", is_final=is_final)
