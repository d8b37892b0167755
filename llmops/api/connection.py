"""One HTTP connection: uvicorn's protocol, with bounds on what a client may send and on how long it may take."""

from __future__ import annotations

import asyncio
from typing import Any, cast

import httptools
import uvicorn
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle
from uvicorn.server import ServerState

from llmops.admission.identity import is_loopback
from llmops.api.answer import error_response
from llmops.api.connection_table import ConnectionTable, Stage
from llmops.api.half_close import AT_ONCE_S, HalfClose
from llmops.api.request_bounds import PIECE_BYTES, body_refusal, head_refusal, part_refusal, wire_bytes
from llmops.api.request_head import read_absolute_form, without_upgrade
from llmops.api.uncommon_answer import UncommonAnswer

_MAX_PIPELINED = 100
_LINGER_S = 2.0
_MAX_DISCARDED = 256 << 10
"""A client that is refused while it sends may read the answer, as long as it does not send much more."""
_TLS_HANDSHAKE = b"\x16\x03"


class _Refused(Exception):
    """The request was answered by the connection itself: its parser goes no further."""


class Connection(HttpToolsProtocol):
    """The addresses (host, port) are given to it: to ask the system for them, as uvicorn does, gives the interpreter
    away to whoever computes, twice for each connection.

    server: where serve listens, which may be every address of the machine.
    """

    def __init__(
        self,
        config: uvicorn.Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        table: ConnectionTable,
        server: tuple[str, int],
        client: tuple[str, int],
    ) -> None:
        super().__init__(config, server_state, app_state)
        self.server, self.client, self.scheme = server, client, "http"
        self.address, self.is_loopback = client[0], is_loopback(client[0])
        self._table, self._limits = table, table.limits
        self._stage: Stage = "new"
        self._timed_stage: Stage | None = None
        self._piece_bytes = 0
        self._framing_bytes = 0  # since the request began, or since the last byte of its body
        self._request_bytes = 0  # since the end of its headers
        self._discardable_bytes = _MAX_DISCARDED
        self._whole_at = 0.0
        self._is_refused = self._is_upgrade = self._is_last_answer = False
        self._half_close: HalfClose | None = None

    # What the transport calls

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self.connections.add(self)
        self.transport, self.flow = transport, FlowControl(transport)
        if self._table.admit(self):
            self._set_deadline()
        else:
            self.refuse("too_many_connections", "Too many connections are open: close some, or use them again.")

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._unset_keepalive_if_required()  # uvicorn's timer would keep a connection that was reset for as long
        self._table.leave(self)
        if self._half_close is not None:
            self._half_close.cancel()

    def data_received(self, data: bytes) -> None:
        self._unset_keepalive_if_required()
        for start in range(0, len(data), PIECE_BYTES):
            if self._is_refused:
                self._discard(len(data) - start)
                return
            if self.transport.is_closing():
                return
            self._parse(data if len(data) <= PIECE_BYTES else data[start : start + PIECE_BYTES])

    def eof_received(self) -> bool:  # type: ignore[override]
        """Whether the connection stays: the answer to a whole request is still sent, see `HalfClose`."""
        if not self._is_answering:
            return False
        if self._half_close is None:
            self.cycle.keep_alive = False
            self._half_close = HalfClose(
                self.transport, self.cycle, self.pipeline, is_late=self._table.clock() - self._whole_at > AT_ONCE_S
            )
        return True

    def pause_writing(self) -> None:
        super().pause_writing()
        self._table.expect_reader(self, self._limits.write_timeout_s)

    def resume_writing(self) -> None:
        super().resume_writing()
        self._table.reads(self)

    # What the table calls

    def expire(self) -> None:
        """Its request did not come in time, or another connection needs the room."""
        if self._stage == "head" and not self._is_refused:
            within = f"{self._limits.header_timeout_s:g} s"
            self.refuse("header_timeout", f"The request line and headers did not arrive within {within}.")
        self.close()

    def abort(self) -> None:
        """The client reads nothing."""
        self.transport.abort()

    # What the parser calls

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._stage, self._framing_bytes, self._is_upgrade = "head", 0, False

    def on_headers_complete(self) -> None:
        refusal = head_refusal(self._limits, self.url, self.headers, self._framing_bytes + self._piece_bytes)
        if refusal is not None:
            self._stop(*refusal)
        if len(self.pipeline) >= _MAX_PIPELINED:
            self._stop("too_many_connections", "")
        version = self.parser.get_http_version()
        if self.parser.should_upgrade():
            if self.parser.get_method() == b"CONNECT":
                self._stop("method_not_allowed", "CONNECT is not served here; /docs lists what is.")
            self._is_upgrade = True
            return
        if version == "1.0":
            self.expect_100_continue = False
        if not self.url.startswith(b"/"):
            self.url = read_absolute_form(self.url, self.headers)
        self._stage, self._framing_bytes, self._request_bytes = "body", 0, 0
        super().on_headers_complete()
        self.headers = []  # trailers are no headers of a request that is being answered
        if version == "1.0" or self.expect_100_continue:
            self._send_uncommonly()

    def on_body(self, body: bytes) -> None:
        self._framing_bytes = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        if self._is_upgrade:
            return
        super().on_message_complete()
        self._stage, self._whole_at = "idle", self._table.clock()

    def on_response_complete(self) -> None:
        if self._is_last_answer:
            self.pipeline.clear()
            self.server_state.total_requests += 1
            if self._stage == "body":
                self._linger(wire_bytes(self._limits))
            else:
                self.close()
            return
        super().on_response_complete()
        if self._half_close is not None and not self.pipeline:
            self.transport.close()
        if not self.transport.is_closing():
            self._set_deadline()
        elif self.transport.get_write_buffer_size():
            self._table.expect_reader(self, self._limits.write_timeout_s)

    def _send_uncommonly(self) -> None:
        send = UncommonAnswer(self.cycle, self.cycle.scope["http_version"], self._end_after_answer)
        self.cycle.send = send  # type: ignore[method-assign, assignment]

    def _end_after_answer(self) -> None:
        self._is_last_answer = True

    # Refusals of the connection itself

    def refuse(self, slug: str, message: str) -> None:
        """Answer with this error and read no further. Whole requests before this one are answered first, without it."""
        self._is_refused = True
        if self.transport.is_closing():
            return
        if self._is_unanswered:
            if self._stage != "body":
                self.cycle.keep_alive = False
                return
            if self.pipeline or self.cycle.response_started:
                self.transport.abort()
                return
            self.cycle.disconnected = True  # nobody reads what the route would answer
            self.cycle.message_event.set()
        self.transport.write(error_response(slug, message, self.server_state.default_headers))
        if slug == "too_many_connections":  # to linger would hold what there is too much of
            self.close()
            return
        self._linger(_MAX_DISCARDED)

    def _linger(self, bytes_left: int) -> None:
        """Close it once the client has had a moment to read: to close with bytes unread takes the answer back."""
        self._is_refused, self._discardable_bytes = True, bytes_left
        if self.transport.is_closing():
            return
        self.flow.resume_reading()
        self.transport.write_eof()
        self._table.expect_nothing(self)
        self._table.expect_reader(self, _LINGER_S)

    def close(self) -> None:
        """Close it, whether or not the client reads the rest of what was written."""
        self._table.expect_nothing(self)
        self._table.expect_reader(self, self._limits.write_timeout_s)
        self.transport.close()

    def send_400_response(self, msg: str) -> None:
        """What uvicorn answers to bytes that are no HTTP, in the shape of our errors."""
        self.refuse("bad_request", msg)

    def _stop(self, slug: str, message: str) -> None:
        self.refuse(slug, message)
        raise _Refused

    def _discard(self, count: int) -> None:
        self._discardable_bytes -= count
        if self._discardable_bytes < 0:
            self.transport.abort()

    # Reading

    @property
    def _is_unanswered(self) -> bool:
        """Whether the last request whose headers came has no whole response yet."""
        cycle = cast("RequestResponseCycle | None", self.cycle)
        return cycle is not None and not cycle.response_complete

    @property
    def _is_answering(self) -> bool:
        """Whether a whole request waits for its response."""
        return bool(self.pipeline) or (self._is_unanswered and self._stage != "body")

    def _set_deadline(self) -> None:
        """After each piece, and after each answer; a piece that ends nothing changes no deadline."""
        if self._is_answering:
            self._timed_stage = None
            self._table.expect_nothing(self)
        elif self._stage != self._timed_stage:
            self._timed_stage = self._stage
            self._table.expect_request(self, self._limits.within_s(self._stage))

    def _parse(self, data: bytes) -> None:
        self._piece_bytes = len(data)
        self._framing_bytes += len(data)
        self._request_bytes += len(data)
        is_new = self._stage == "new"
        while data:
            try:
                self.parser.feed_data(data)
                break
            except httptools.HttpParserUpgrade as upgrade:
                # The parser takes what follows for the other protocol's bytes, so a fresh one reads it.
                method, version = self.parser.get_method(), self.parser.get_http_version()
                data = without_upgrade(method, self.url, version, self.headers) + data[upgrade.args[0] :]
                self.parser = httptools.HttpRequestParser(self)
                self.parser.set_dangerous_leniencies(lenient_data_after_close=True)
            except httptools.HttpParserError:
                if not self._is_refused:
                    is_tls = is_new and data.startswith(_TLS_HANDSHAKE)
                    hint = "this port speaks plain HTTP, so use http://" if is_tls else "it is no HTTP/1.1"
                    self.send_400_response(f"The request cannot be read: {hint}.")
                return
        if self._is_refused or self.transport.is_closing():
            return
        self._set_deadline()
        if self._stage == "body" and not self.cycle.keep_alive and not isinstance(self.cycle.send, UncommonAnswer):
            self._send_uncommonly()
        self._check_bounds()

    def _check_bounds(self) -> None:
        """Of a request that has no end yet."""
        refusal = None
        if self._stage == "head":
            refusal = part_refusal(self._limits, self.url, self._framing_bytes, has_headers=bool(self.headers))
        elif self._stage == "body":
            refusal = body_refusal(self._limits, self._framing_bytes, self._request_bytes)
        if refusal is None:
            return
        if self._stage == "body" and self.cycle.response_complete:  # it was answered before its end
            self.close()
        else:
            self.refuse(*refusal)
