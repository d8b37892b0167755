"""Facts of who gets in without a key: asks a running serve as from elsewhere, and through proxies of this machine."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import httpx
import psutil

from llmops.client import RequestRefused, ServeUnreachable, fetch_snapshot
from llmops.doctor.facts import ExposureFacts
from llmops.settings import Settings

_ANSWER_S = 2.0
_MOST_PORTS = 16
_TLS_PORTS = (443, 8443)
_PROXIES = frozenset(
    (
        *("nginx", "caddy", "traefik", "haproxy", "apache2", "httpd", "envoy", "lighttpd", "h2o", "varnishd", "squid"),
        *("socat", "stunnel", "stunnel4", "docker-proxy", "rootlessport", "frps", "rathole", "gost", "chisel"),
    )
)
"""They listen, and may pass requests on."""
_TUNNELS = frozenset(("cloudflared", "ngrok", "frpc", "tailscaled", "bore", "zrok"))
"""They pass requests on without an address of this machine at which they could be tried."""
_FROM_ELSEWHERE = {
    "a request that a proxy passed on": {"X-Forwarded-For": "192.0.2.1"},
    "a request for another host": {"Host": "llmops.invalid"},
    "a request of another web page": {"Origin": "http://llmops.invalid"},
}


def exposure_facts(settings: Settings) -> ExposureFacts:
    """Sends a few requests without a key to the serve that the settings name, if one answers."""
    url = settings.serve.url
    try:
        instance_id = fetch_snapshot(url, timeout_s=_ANSWER_S, api_key=settings.watch.key).instance_id
    except RequestRefused as error:
        if error.status not in (401, 403):
            return ExposureFacts()
        instance_id = None
    except ServeUnreachable:
        return ExposureFacts()
    names = _running()
    reached: dict[str, bool] = {}
    for name, address in _listeners(names, settings.serve.port):
        lets_in = _lets_in(address, instance_id)
        if lets_in is not None:
            reached[f"{name} at {address}"] = lets_in
    return ExposureFacts(
        is_serve=True,
        gets_in=tuple(kind for kind, headers in _FROM_ELSEWHERE.items() if _gets_in(url, headers)),
        open_proxies=tuple(name for name, is_open in reached.items() if is_open),
        guarded_proxies=tuple(name for name, is_open in reached.items() if not is_open),
        running=tuple(sorted(names)),
    )


def _gets_in(url: str, headers: dict[str, str]) -> bool:
    with contextlib.suppress(httpx.HTTPError), httpx.Client(trust_env=False, timeout=_ANSWER_S) as http:
        return http.get(f"{url}/ops/snapshot", headers=headers).status_code == httpx.codes.OK
    return False


def _running() -> set[str]:
    return {name for each in psutil.process_iter(["name"]) if (name := each.info["name"]) in _PROXIES | _TUNNELS}


def _listeners(names: set[str], serve_port: int) -> Iterator[tuple[str, str]]:
    """(name, URL) of what proxies listen on; a port whose process is hidden from this user may be any proxy's."""
    proxies = names & _PROXIES
    if not proxies:
        return
    try:
        connections = psutil.net_connections("tcp")
    except (psutil.Error, OSError):
        return
    seen = {serve_port}
    for each in connections:
        if each.status != psutil.CONN_LISTEN or not each.laddr or len(seen) > _MOST_PORTS:
            continue
        host, port = each.laddr.ip, each.laddr.port
        name = " or ".join(sorted(proxies)) if each.pid is None else _name(each.pid)
        if port not in seen and (each.pid is None or name in proxies):
            seen.add(port)
            host = "127.0.0.1" if host in ("0.0.0.0", "::") else host  # noqa: S104 - is compared
            authority = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
            yield name, f"http{'s' if port in _TLS_PORTS else ''}://{authority}"


def _name(pid: int) -> str:
    with contextlib.suppress(psutil.Error):
        return psutil.Process(pid).name()
    return ""


def _lets_in(url: str, instance_id: str | None) -> bool | None:
    """Whether serve answers there without a key; None where it does not answer at all."""
    try:  # whoever signed the certificate: only what answers counts
        with httpx.Client(trust_env=False, verify=False, timeout=_ANSWER_S) as http:  # noqa: S501
            answer = http.get(f"{url}/ops/snapshot")
        found = answer.json()
        if answer.status_code == httpx.codes.OK:
            return True if "instance_id" in found and instance_id in (None, found["instance_id"]) else None
        return False if found["error"]["code"] == "invalid_api_key" else None
    except (httpx.HTTPError, httpx.InvalidURL, ValueError, KeyError, TypeError):
        return None
