"""Whether a request comes from a program on this machine, or else why it does not count as one."""

from __future__ import annotations

import dataclasses
import functools
import re
from collections.abc import Iterable

from llmops.admission.identity import comes_from_here, is_loopback

_LONGEST_HOST = 261
"""A name of 255 characters, a colon and a port. Longer ones are not worth a place in a cache."""
_AUTHORITY = re.compile(r"(?:\[([0-9a-f:.]+)\]|([^\s:/@\[\]]+))(?::\d{0,5})?")
_ORIGIN = re.compile(r"[a-z][a-z0-9+.-]*://([^\s/@?#]+)")


@dataclasses.dataclass(frozen=True, slots=True)
class Remote:
    """Why a request needs a key. because: completes "An API key is needed"; hint: what a local program does instead."""

    because: str = ""
    hint: str = ""


ELSEWHERE = Remote()
PROXIED = Remote(", because serve.behind_proxy is on")
FORWARDED = Remote(", because a proxy passed this request on")
OLD_HTTP = Remote(
    ", because this request came as HTTP/1.0, the version in which a proxy passes requests on",
    " A program on this machine needs no key with HTTP/1.1.",
)
OTHER_HOST = Remote(
    ", because the Host header does not name this machine",
    " A program on this machine needs none at http://127.0.0.1 or http://localhost; "
    "the setting serve.allowed_hosts adds names.",
)
OTHER_ORIGIN = Remote(
    ", because a web page of another origin sent this request",
    " The setting serve.cors_origins names the origins that need none.",
)


@dataclasses.dataclass(frozen=True, slots=True)
class Locality:
    """What counts as this machine.

    hosts: names besides loopback addresses and `localhost` that clients here put into Host.
    origins: of web pages that may call as if they were programs here; `*` names none.
    behind_proxy: a proxy here passes requests on, so nothing counts as local.
    """

    hosts: frozenset[str] = frozenset()
    origins: frozenset[str] = frozenset()
    behind_proxy: bool = False

    def why_remote(
        self, address: str | None, http_version: str, headers: Iterable[tuple[bytes, bytes]]
    ) -> Remote | None:
        """None for a request from this machine.

        address: of the peer. headers: all of them, repeated ones too, their names in lower case.
        """
        if address is None or not is_loopback(address):
            return ELSEWHERE
        if self.behind_proxy:
            return PROXIED
        hosts, origins, is_cross_site, names = list[bytes](), list[bytes](), False, list[bytes]()
        for name, value in headers:
            names.append(name)
            if name == b"host":
                hosts.append(value)
            elif name == b"origin":
                origins.append(value)
            elif name == b"sec-fetch-site":
                is_cross_site = is_cross_site or value.strip().lower() == b"cross-site"
        if not comes_from_here(address, names):
            return FORWARDED
        if http_version in ("1.0", "0.9"):
            return OLD_HTTP
        if len(hosts) != 1 or not self._names_us(hosts[0]):
            return OTHER_HOST
        # An origin that is ours says more than that it is another site than the address that it calls.
        is_foreign = is_cross_site if not origins else not all(map(self._is_ours, origins))
        return OTHER_ORIGIN if is_foreign else None

    def _names_us(self, host: bytes) -> bool:
        return len(host) <= _LONGEST_HOST and _is_local_name(host.decode("latin-1").strip().lower(), self.hosts)

    def _is_ours(self, origin: bytes) -> bool:
        given = origin.decode("latin-1").strip().lower()
        if given in self.origins:
            return True
        found = _ORIGIN.fullmatch(given) if len(given) <= 2 * _LONGEST_HOST else None
        return found is not None and _is_local_name(found[1], self.hosts)


@functools.lru_cache(maxsize=1024)
def _is_local_name(authority: str, hosts: frozenset[str]) -> bool:
    """Whether `host` or `host:port` names this machine. A name that DNS resolves does not, whatever it resolves to."""
    found = _AUTHORITY.fullmatch(authority)
    if found is None:
        return False
    name = (found[1] or found[2]).removesuffix(".")
    return name == "localhost" or name in hosts or is_loopback(name)
