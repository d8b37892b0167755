"""The door: whose request this is by its API key, and what its headers wish for."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from starlette.types import Scope

from llmops.admission.identity import KeyRule, needs_key
from llmops.admission.keys import ApiKey, KeyRing
from llmops.admission.locality import Locality, Remote
from llmops.admission.refusals import InvalidApiKey
from llmops.admission.ticket import Priority
from llmops.api.front_end import FrontEndHeaders
from llmops.inference.errors import InvalidRequest

_PRIORITIES = {priority.word.encode(): priority for priority in Priority}
_SECONDS = re.compile(rb"\d{1,9}(\.\d{1,9})?")


class Door:
    """Opens to keys, and to who needs none. `ring` is asked at each request, so that a revoked key opens no more.

    locality: which requests count as this machine's.
    """

    def __init__(
        self,
        rule: KeyRule = "off",
        ring: Callable[[], KeyRing] = KeyRing,
        locality: Locality | None = None,
        front_end: FrontEndHeaders | None = None,
    ) -> None:
        self.front_end = front_end or FrontEndHeaders()
        self._rule = rule
        self._ring = ring
        self._locality = locality or Locality()

    def key_of(self, scope: Scope, headers: Mapping[bytes, bytes]) -> ApiKey | None:
        """The caller's key; None when there is none and none is needed. Raises InvalidApiKey.

        Who needs no key may send any: clients that insist on sending one have a made-up one.
        """
        if self._rule == "off":
            return None
        presented = _bearer(headers.get(b"authorization", b""))
        key = self._ring().find(presented) if presented else None
        if key is not None:
            return key
        if not needs_key(self._rule, scope["path"], is_local=False):
            return None
        address = scope["client"][0] if scope["client"] else None
        remote = self._locality.why_remote(address, scope["http_version"], scope["headers"])
        if remote is not None or needs_key(self._rule, scope["path"], is_local=True):
            raise InvalidApiKey(_refusal(remote or Remote(), has_key=bool(presented)))
        return None


def _refusal(remote: Remote, *, has_key: bool) -> str:
    if has_key:
        return (
            "This API key is not known here, or was revoked: ask for another. "
            f"One is needed{remote.because}.{remote.hint}"
        )
    return (
        f"An API key is needed{remote.because}: send it as `Authorization: Bearer lk-...`; "
        f"`llmops keys create NAME` on the server's machine makes one.{remote.hint}"
    )


def priority_of(headers: Mapping[bytes, bytes], *, is_synthetic: bool, is_background: bool = False) -> Priority:
    """`x-llmops-priority`; without it that of a measurement, a background task or a person. Raises InvalidRequest."""
    given = headers.get(b"x-llmops-priority")
    if given is None and is_synthetic:
        return Priority.BENCHMARK
    if given is None:
        return Priority.SUMMARY if is_background else Priority.INTERACTIVE
    found = _PRIORITIES.get(given.strip().lower())
    if found is None:
        raise InvalidRequest("x-llmops-priority must be interactive, summary or benchmark.", "x-llmops-priority")
    return found


def deadline_of(headers: Mapping[bytes, bytes]) -> float | None:
    """`x-llmops-deadline-s` in seconds since the arrival, or None. Raises InvalidRequest."""
    given = headers.get(b"x-llmops-deadline-s")
    if given is None:
        return None
    if not _SECONDS.fullmatch(given) or float(given) <= 0:
        raise InvalidRequest(
            "x-llmops-deadline-s must be a number of seconds above 0, such as 30.", "x-llmops-deadline-s"
        )
    return float(given)


def _bearer(header: bytes) -> bytes:
    scheme, _, presented = header.partition(b" ")
    return presented.strip() if scheme.lower() == b"bearer" else b""
