"""Tells another program: POSTs the notice as JSON, tries again a little, and follows no redirect."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeAlias

import httpx

from llmops.notifiers.errors import DeliveryFailed
from llmops.notifiers.notice import Notice

TIMEOUT_S = 5.0
PAUSES_S = (1.0, 2.0)
"""Between the tries: three of them in all."""
_TOO_MANY_REQUESTS = 429

Sleep: TypeAlias = Callable[[float], None]


class Webhook:
    """One address. A 2xx answer is success; a refusal (3xx, 4xx) is final; silence, 429 and 5xx are tried again."""

    name = "webhook"

    def __init__(
        self,
        url: str,
        *,
        timeout_s: float = TIMEOUT_S,
        pauses_s: tuple[float, ...] = PAUSES_S,
        sleep: Sleep = time.sleep,
    ) -> None:
        self._url = url
        self._timeout_s = timeout_s
        self._pauses_s = pauses_s
        self._sleep = sleep

    def deliver(self, notice: Notice) -> None:
        body = notice.to_json()
        tries = 1 + len(self._pauses_s)
        problem = ""
        for number in range(tries):
            if number:
                self._sleep(self._pauses_s[number - 1])
            problem, is_final = self._post(body)
            if not problem:
                return
            if is_final:
                raise DeliveryFailed(f"{problem}; not tried again")
        raise DeliveryFailed(f"{problem}; given up after {tries} tries")

    def _post(self, body: dict[str, object]) -> tuple[str, bool]:
        """What went wrong ('' for nothing), and whether that is final. Without the address: it may hold a secret."""
        try:
            with (
                httpx.Client(timeout=self._timeout_s, follow_redirects=False) as http,
                http.stream("POST", self._url, json=body) as answer,  # the answer's body is nobody's business
            ):
                status = answer.status_code
        except (httpx.InvalidURL, httpx.UnsupportedProtocol):
            return "the webhook address is no http address", True
        except httpx.HTTPError as error:
            return f"the webhook did not answer ({type(error).__name__})", False
        if 200 <= status < 300:
            return "", False
        return f"the webhook answered {status}", status < 500 and status != _TOO_MANY_REQUESTS
