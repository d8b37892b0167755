"""One POST to another program, and what its answer means for a second try."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import httpx

from llmops.notifiers.certificates import tls_sentence
from llmops.notifiers.errors import DeliveryFailed

TIMEOUT_S = 5.0
_TOO_MANY_REQUESTS = 429


def as_body(value: Any) -> bytes:
    """JSON, in the bytes that are sent and signed."""
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode("utf-8", "replace")


def post(receiver: str, url: str, body: bytes, headers: Mapping[str, str], timeout_s: float, setting: str) -> None:
    """2xx is success; a refusal (3xx, 4xx) is final; silence, 429 and 5xx are worth another try. No redirect is
    followed. `setting`: where the address is set. Failures name the receiver and not its address, which may hold a
    secret."""
    sent = {"Content-Type": "application/json", **headers}
    try:
        with (
            httpx.Client(timeout=timeout_s, follow_redirects=False) as http,
            http.stream("POST", url, content=body, headers=sent) as answer,  # its body is nobody's business
        ):
            status = answer.status_code
    except (httpx.InvalidURL, httpx.UnsupportedProtocol):
        raise DeliveryFailed(f"the {receiver} address is no http address", is_final=True) from None
    except httpx.HTTPError as error:
        if sentence := tls_sentence(error, setting):
            raise DeliveryFailed(f"the {receiver} was not reached: {sentence}") from None
        raise DeliveryFailed(f"the {receiver} did not answer ({type(error).__name__})") from None
    if not 200 <= status < 300:
        is_final = status < 500 and status != _TOO_MANY_REQUESTS
        raise DeliveryFailed(f"the {receiver} answered {status}", is_final=is_final)
