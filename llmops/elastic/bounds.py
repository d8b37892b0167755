"""Bounds for what a server answers: an answer without end, or one that is nested without end, is no answer."""

from __future__ import annotations

import dataclasses
from typing import Any

from elastic_transport import NodeConfig, SerializationError, Transport, Urllib3HttpNode

MOST_BYTES = 64 << 20
"""Ten thousand hits with their documents stay far below."""


class AnswerTooLarge(Exception):
    """The transport makes a ConnectionError of it, as of every failure on the way."""


class BoundedNode(Urllib3HttpNode):
    """Reads no more than `MOST_BYTES` of an answer."""

    def __init__(self, config: NodeConfig) -> None:
        super().__init__(config)
        self.pool: Any = _BoundedPool(self.pool)


class BoundedTransport(Transport):
    """An answer that no JSON parser can read is a failure of the transport."""

    def perform_request(self, *args: Any, **options: Any) -> Any:
        """As of the library."""
        try:
            return super().perform_request(*args, **options)
        except RecursionError as error:
            raise SerializationError("the answer is nested too deeply", errors=(error,)) from None


@dataclasses.dataclass(frozen=True, slots=True)
class _Whole:
    """What the node reads of a response."""

    data: bytes
    status: int
    headers: Any


class _BoundedPool:
    """A connection pool whose answers are read here, and not before anybody knows how long they are."""

    def __init__(self, pool: Any) -> None:
        self._pool = pool

    def __getattr__(self, name: str) -> Any:
        return getattr(self._pool, name)

    def urlopen(self, *args: Any, **options: Any) -> _Whole:
        response = self._pool.urlopen(*args, **options, preload_content=False)
        try:
            data = response.read(MOST_BYTES + 1)
        except BaseException:
            response.close()
            raise
        if len(data) > MOST_BYTES:
            response.close()
            raise AnswerTooLarge(f"the answer is larger than {MOST_BYTES >> 20} MiB")
        response.release_conn()
        return _Whole(data, response.status, response.headers)
