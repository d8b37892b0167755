"""Who asks: whether a key is needed, and the name under which the record may know them."""

from __future__ import annotations

import functools
import hmac
import ipaddress
from collections.abc import Iterable
from typing import Literal, TypeAlias

KeyRule: TypeAlias = Literal["auto", "required", "off"]
"""auto: whoever is not on this machine needs a key. required: everybody who wants an answer. off: nobody."""

_FORWARDED = frozenset(
    (
        *(b"forwarded", b"forwarded-for", b"via", b"cdn-loop", b"front-end-https", b"true-client-ip", b"client-ip"),
        *(b"real-ip", b"x-real-ip", b"x-client-ip", b"x-cluster-client-ip", b"x-remote-ip", b"x-remote-addr"),
        *(b"proxy-client-ip", b"wl-proxy-client-ip", b"x-proxyuser-ip", b"x-appengine-user-ip", b"x-host", b"x-scheme"),
        *(b"x-url-scheme", b"x-rewrite-url", b"x-nginx-proxy", b"x-amz-cf-id", b"x-forward-for"),
    )
)
_FORWARDED_PREFIXES = (
    *(b"x-forwarded", b"x-original-", b"x-proxy-", b"x-envoy-", b"x-azure-", b"x-arr-", b"x-vercel-"),
    *(b"cf-", b"cloudfront-", b"fastly-", b"fly-", b"ngrok-", b"tailscale-"),
)
"""Headers that proxies, load balancers and tunnels add, and that no client sends by itself."""
_ANSWERS = "/v1/"


def needs_key(rule: KeyRule, path: str, *, is_local: bool) -> bool:
    """Health is told to everybody; metrics and operations to whoever is on this machine, and to keys."""
    if rule == "off" or path == "/health" or path.startswith("/health/"):
        return False
    return not is_local or (rule == "required" and path.startswith(_ANSWERS))


def comes_from_here(address: str | None, headers: Iterable[bytes]) -> bool:
    """Whether a request came over loopback, and no proxy says in a header that it passed it on."""
    return address is not None and is_loopback(address) and not any(map(_is_forwarding, headers))


def _is_forwarding(header: bytes) -> bool:
    name = header.replace(b"_", b"-") if b"_" in header else header
    return name in _FORWARDED or name.startswith(_FORWARDED_PREFIXES)


@functools.lru_cache(maxsize=4096)
def is_loopback(address: str) -> bool:
    """Whether this address is the machine's own. What is no address is not."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return False
    mapped = getattr(parsed, "ipv4_mapped", None)
    return bool((mapped or parsed).is_loopback)


@functools.lru_cache(maxsize=1024)
def hash_user(key: bytes, user: str) -> str:
    """HMAC-SHA256 of the user under this installation's key, 16 hex digits: stable here, meaningless elsewhere."""
    return hmac.digest(key, user.encode("utf-8", "surrogatepass"), "sha256").hex()[:16]
