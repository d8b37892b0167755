"""One look at a running serve, for programs without an event loop."""

from __future__ import annotations

import httpx

from llmops.client.answers import read_snapshot
from llmops.client.errors import ServeUnreachable
from llmops.events.snapshot import ServeSnapshot


def fetch_snapshot(url: str, timeout_s: float = 2.0, api_key: str | None = None) -> ServeSnapshot:
    """What serve says of itself now. Raises ServeUnreachable or RequestRefused."""
    headers = {"Authorization": f"Bearer {api_key}"} if api_key else {}
    try:  # past HTTP_PROXY: serve stands on this machine or network
        with httpx.Client(trust_env=False, verify=needs_certificates(url), timeout=timeout_s) as http:
            return read_snapshot(url, http.get(f"{url.rstrip('/')}/ops/snapshot", headers=headers))
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise ServeUnreachable(url, reason_of(error)) from error


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
