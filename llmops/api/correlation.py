"""Which request is this: ids that the client may give, checked, or new ones."""

from __future__ import annotations

import os
import random
import re

_REQUEST_ID = re.compile(rb"[\x21-\x7e]{1,128}")
_TRACEPARENT = re.compile(rb"[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}")


_random = random.Random(os.urandom(32))  # noqa: S311 - ids are told to everybody, and a system call each is slow


def new_id() -> str:
    """A fresh random id, 32 hex digits."""
    return f"{_random.getrandbits(128):032x}"


def request_id_of(header: bytes | None) -> str:
    """The client's X-Request-ID when it is 1 to 128 printable ASCII characters, else a new one."""
    return header.decode("ascii") if header is not None and _REQUEST_ID.fullmatch(header) else new_id()


def trace_of(header: bytes | None) -> tuple[str | None, str | None]:
    """(trace id, parent span id) of a W3C `traceparent` header; (None, None) when it is none."""
    found = _TRACEPARENT.fullmatch(header or b"")
    return (found[1].decode("ascii"), found[2].decode("ascii")) if found else (None, None)
