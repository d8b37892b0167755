"""Who asks: whether a key is needed, and the name under which the record may know them."""

from __future__ import annotations

import functools
import hmac
import ipaddress
from collections.abc import Container
from typing import Literal, TypeAlias

KeyRule: TypeAlias = Literal["auto", "required", "off"]
"""auto: whoever is not on this machine needs a key. required: everybody who wants an answer. off: nobody."""

_FORWARDED = (b"x-forwarded-for", b"forwarded", b"x-real-ip", b"x-forwarded-host", b"via")
_ANSWERS = "/v1/"


def needs_key(rule: KeyRule, path: str, *, is_local: bool) -> bool:
    """Health is told to everybody; metrics and operations to whoever is on this machine, and to keys."""
    if rule == "off" or path == "/health" or path.startswith("/health/"):
        return False
    return not is_local or (rule == "required" and path.startswith(_ANSWERS))


def comes_from_here(address: str | None, headers: Container[bytes]) -> bool:
    """Whether a request began on this machine: it came over loopback, and no proxy says that it passed it on."""
    return address is not None and is_loopback(address) and not any(name in headers for name in _FORWARDED)


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
