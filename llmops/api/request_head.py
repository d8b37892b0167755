"""Two forms of a request's head that uvicorn does not read: the wish for another protocol, and an absolute target."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias, cast

import httptools

Headers: TypeAlias = list[tuple[bytes, bytes]]
_UPGRADE = (b"upgrade", b"http2-settings")


def without_upgrade(method: bytes, target: bytes, version: str, headers: Sequence[tuple[bytes, bytes]]) -> bytes:
    """The head again, less `Upgrade`: RFC 9110 (7.8) lets a server ignore it and answer over the version that it has.

    headers: names in lower case.
    """
    lines = [b"%b %b HTTP/%b\r\n" % (method, target, version.encode())]
    for name, value in headers:
        if name == b"connection":
            kept = [each for each in value.split(b",") if each.strip().lower() not in _UPGRADE]
            lines.extend([b"connection: %b\r\n" % b",".join(kept)] if kept else ())
        elif name not in _UPGRADE:
            lines.append(b"%b: %b\r\n" % (name, value))
    return b"".join((*lines, b"\r\n"))


def read_absolute_form(target: bytes, headers: Headers) -> bytes:
    """The target with a path. `GET http://host/path`: its host replaces Host (RFC 9112, 3.2.2), in place.

    Raises httptools.HttpParserError for a target that is none.
    """
    found = httptools.parse_url(target)
    name, path = cast("bytes | None", found.host), cast("bytes | None", found.path)
    if name is None:
        return target
    host = b"[%b]" % name if b":" in name else name
    given = b"%b:%d" % (host, found.port) if found.port else host
    if cast("bytes | None", found.userinfo) is not None:  # no client sends it, and it makes a name that nothing matches
        given = b"%b@%b" % (found.userinfo, given)
    headers[:] = [each for each in headers if each[0] != b"host"] + [(b"host", given)]
    return target if path is not None else target + b"/"
