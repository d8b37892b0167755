"""One look at a running serve, for programs without an event loop."""

from __future__ import annotations

import time

import httpx

from llmops.client.answers import read_snapshot
from llmops.client.errors import ServeUnreachable
from llmops.events.snapshot import ServeSnapshot

MOST_BYTES = 16 << 20
"""Of an answer of serve: a snapshot has some kilobytes."""
PLAIN = {"Accept-Encoding": "identity"}
"""Compressed answers could be small on the way and large here."""
_KEPT_HEADERS = ("content-type", "retry-after", "x-request-id")


def fetch_snapshot(url: str, timeout_s: float = 2.0, api_key: str | None = None) -> ServeSnapshot:
    """What serve says of itself now. Raises ServeUnreachable or RequestRefused."""
    headers = {"Authorization": f"Bearer {api_key}"} if api_key else {}
    try:  # past HTTP_PROXY: serve stands on this machine or network
        with (
            httpx.Client(trust_env=False, verify=needs_certificates(url), timeout=timeout_s) as http,
            http.stream("GET", f"{url.rstrip('/')}/ops/snapshot", headers={**headers, **PLAIN}) as response,
        ):
            return read_snapshot(url, _whole(url, response, time.monotonic() + 2 * timeout_s))
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise ServeUnreachable(url, reason_of(error)) from error


def _whole(url: str, response: httpx.Response, deadline: float) -> httpx.Response:
    """The response with its body, which is bounded in size and time. Raises ServeUnreachable."""
    body = bytearray()
    for part in response.iter_raw():
        body += part
        if len(body) > MOST_BYTES or time.monotonic() > deadline:
            raise ServeUnreachable(url, "its answer has no end")
    return with_body(response, bytes(body))


def with_body(response: httpx.Response, body: bytes) -> httpx.Response:
    """The head of the response with this body, which came uncompressed."""
    kept = {name: value for name in _KEPT_HEADERS if (value := response.headers.get(name)) is not None}
    return httpx.Response(response.status_code, headers=kept, content=body)


def needs_certificates(url: str) -> bool:
    """Without TLS the certificates are not read: that costs 20 ms a client and protects nothing."""
    return not url.startswith("http://")


def reason_of(error: Exception) -> str:
    """A few words on why no answer came."""
    if isinstance(error, httpx.TimeoutException):
        return "no answer in time"
    if isinstance(error, httpx.ConnectError):
        return "nothing listens there"
    if isinstance(error, httpx.InvalidURL | httpx.UnsupportedProtocol):
        return "that is no http address"
    return "the connection broke"
