"""A real HTTP proxy before Elasticsearch that does what networks and busy servers do, when it is told to."""

from __future__ import annotations

import collections
import contextlib
import http.client
import http.server
import json
import ssl
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal, TypeAlias

Fault: TypeAlias = Literal["lose the answer", "cut", "refuse", "unavailable", "some are busy"]
"""Of one bulk request: it arrives and its answer does not; it does not arrive; 429; 503; half of its items 429."""
FAULTS: tuple[Fault, ...] = ("lose the answer", "cut", "refuse", "unavailable", "some are busy")
_BUSY = {"type": "es_rejected_execution_exception", "reason": "rejected by the proxy"}


class FaultProxy:
    """Forwards to 127.0.0.1:`port`. `faults`: what happens to the next bulk requests, one each; then all is well.

    `after_fault` is called after each, before the client knows.
    """

    def __init__(self, port: int, certificate: Path | None = None) -> None:
        self.faults: collections.deque[Fault] = collections.deque()
        self.refusing = threading.Event()
        self.after_fault: Callable[[], object] = lambda: None
        self.asked: list[tuple[str, str, bytes]] = []
        """Method, path and body of all that is no bulk request."""
        self.bulks = 0
        self.faulty = 0
        self.upstream_port = port
        self._server = _Quiet(("127.0.0.1", 0), _handler(self))
        self._server.daemon_threads = True
        self.port: int = self._server.server_address[1]
        self.url = f"http{'s' if certificate else ''}://127.0.0.1:{self.port}"
        if certificate is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate)
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def next_fault(self) -> Fault | None:
        """What happens to this bulk request."""
        self.bulks += 1
        if self.refusing.is_set():
            self.faulty += 1
            return "refuse"
        if self.faults:
            self.faulty += 1
            return self.faults.popleft()
        return None

    def close(self) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._server.server_close()


@contextlib.contextmanager
def fault_proxy(port: int, certificate: Path | None = None) -> Iterator[FaultProxy]:
    """One for the length of a block; with a certificate it speaks TLS."""
    proxy = FaultProxy(port, certificate)
    try:
        yield proxy
    finally:
        proxy.close()


class _Quiet(http.server.ThreadingHTTPServer):
    def handle_error(self, request: object, client_address: object) -> None:
        """Clients that are killed hang up."""


def _handler(proxy: FaultProxy) -> type[http.server.BaseHTTPRequestHandler]:
    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _pass(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length") or 0))
            fault = proxy.next_fault() if self.path.startswith("/_bulk") else None
            if not self.path.startswith("/_bulk"):
                proxy.asked.append((self.command, self.path, body))
            if fault == "some are busy":
                self._half(body)
            elif fault in ("refuse", "unavailable"):
                self._answer(429 if fault == "refuse" else 503, json.dumps({"error": _BUSY}).encode(), {})
            elif fault == "cut":
                self._hang_up()
            else:
                self._forward(body, answer=fault is None)

        def _forward(self, body: bytes, *, answer: bool) -> None:
            try:
                status, content, headers = self._ask(body)
            except OSError:
                self._hang_up()
                return
            if answer:
                self._answer(status, content, headers)
            else:
                proxy.after_fault()
                self._hang_up()

        def _half(self, body: bytes) -> None:
            """The first half of the items goes on; the server is said to be too busy for the others."""
            lines = body.splitlines(keepends=True)
            half = len(lines) // 4 * 2
            items: list[dict[str, Any]] = []
            headers = {"X-Elastic-Product": "Elasticsearch", "Content-Type": "application/json"}
            if half:
                _, content, headers = self._ask(b"".join(lines[:half]))
                items = json.loads(content)["items"]
            items += [{"create": {"status": 429, "error": _BUSY}}] * ((len(lines) - half) // 2)
            proxy.after_fault()
            self._answer(200, json.dumps({"errors": True, "items": items}).encode(), headers)

        def _ask(self, body: bytes) -> tuple[int, bytes, dict[str, str]]:
            upstream = http.client.HTTPConnection("127.0.0.1", proxy.upstream_port, timeout=60)
            try:
                kept = {name: value for name, value in self.headers.items() if name.lower() not in _HOP}
                upstream.request(self.command, self.path, body or None, kept)
                found = upstream.getresponse()
                return found.status, found.read(), dict(found.getheaders())
            except http.client.HTTPException as error:
                raise OSError(str(error)) from error
            finally:
                upstream.close()

        def _answer(self, status: int, content: bytes, headers: dict[str, str]) -> None:
            self.send_response(status)
            kept = headers or {"Content-Type": "application/json"}
            for name, value in kept.items():
                if name.lower() not in _HOP:
                    self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def _hang_up(self) -> None:
            self.close_connection = True
            self.connection.close()

        def log_message(self, format: str, *args: object) -> None:
            """Quiet."""

        do_GET = do_POST = do_PUT = do_DELETE = do_HEAD = _pass  # noqa: N815 -- as http.server calls them

    return Handler


_HOP = {"content-length", "transfer-encoding", "connection", "host", "keep-alive"}
