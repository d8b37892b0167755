"""A request at the door: what its headers say of it, and its body, which must be JSON, whole and in time."""

from __future__ import annotations

import asyncio
import dataclasses
import time
from collections.abc import Mapping

from starlette.requests import ClientDisconnect
from starlette.types import Receive, Scope

from llmops.api.correlation import request_id_of, trace_of
from llmops.api.errors import BodyTooLarge, BodyTooSlow
from llmops.inference.errors import InvalidRequest
from llmops.inference.exchange import Arrival

BODY_WITHIN_S = 30.0
"""The largest body takes seconds on a slow line; a client that needs longer holds a connection for nothing."""

_LONGEST_LENGTH = 20
"""Digits of 64 bits."""


def arrival_of(scope: Scope, headers: Mapping[bytes, bytes], operation: str, id_prefix: str) -> Arrival:
    """What is known before the body is read. Its moment is now."""
    trace_id, span_id = trace_of(headers.get(b"traceparent"))
    client_ip = scope["client"][0] if scope["client"] else None
    return Arrival(
        at=time.time(),
        clock_s=time.monotonic(),
        request_id=request_id_of(headers.get(b"x-request-id")),
        path=scope["path"],
        user=f"ip:{client_ip}",
        client_ip=client_ip,
        trace_id=trace_id,
        span_id=span_id,
        traceparent=headers[b"traceparent"].decode("ascii") if trace_id is not None else None,
        synthetic=headers.get(b"x-llmops-synthetic") == b"1",
        operation=operation,
        id_prefix=id_prefix,
    )


@dataclasses.dataclass(frozen=True, slots=True)
class BodyLimits:
    """What a body may be."""

    max_body_bytes: int
    body_within_s: float = BODY_WITHIN_S

    async def body(self, headers: Mapping[bytes, bytes], receive: Receive) -> bytes:
        """The whole body. Raises InvalidRequest, or ClientDisconnect when the client leaves before its end."""
        _check_kind(headers)
        declared = headers.get(b"content-length", b"0")
        if len(declared) > _LONGEST_LENGTH or int(declared) > self.max_body_bytes:  # digits: the parser looked
            raise self._too_large()
        body = bytearray()
        more = True
        try:
            async with asyncio.timeout(self.body_within_s):
                while more:
                    message = await receive()
                    if message["type"] == "http.disconnect":
                        raise ClientDisconnect
                    body += message.get("body", b"")
                    more = message.get("more_body", False)
                    if len(body) > self.max_body_bytes:
                        raise self._too_large()
        except TimeoutError:
            raise BodyTooSlow(
                f"The body did not arrive within {self.body_within_s:g} s: send it again.", None
            ) from None
        return bytes(body)

    def _too_large(self) -> BodyTooLarge:
        return BodyTooLarge(f"The body is larger than {self.max_body_bytes} bytes: send less.", None)


def _check_kind(headers: Mapping[bytes, bytes]) -> None:
    """Only JSON: a foreign web page may make a browser send forms and plain text to this machine without asking.

    A body of no kind is taken as JSON, except from a browser (which names its page's origin), for the same reason.
    """
    given = headers.get(b"content-type")
    kind = None if given is None else given.split(b";", 1)[0].strip().lower()
    if kind is None and b"origin" not in headers:
        return
    if kind is None or not (kind == b"application/json" or kind.endswith(b"+json")):
        shown = "missing" if kind is None else repr(kind[:100].decode("latin-1"))
        raise InvalidRequest(f"The content type is {shown}: send JSON with `Content-Type: application/json`.", None)
