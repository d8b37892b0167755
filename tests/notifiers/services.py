"""The servers of chat services, played by one local server that keeps what arrives and accepts everything."""

from __future__ import annotations

import json
import ssl
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import unquote_plus

import pytest

HOSTS = (
    "discord.com", "hooks.slack.com", "chat.googleapis.com", "api.telegram.org", "oapi.dingtalk.com",
    "qyapi.weixin.qq.com", "open.feishu.cn", "open.larksuite.com", "api.pushover.net", "prod-1.logic.azure.com",
    "org.zulipchat.com", "www.kookapp.cn", "events.pagerduty.com", "api.line.me",
)  # fmt: skip
_ACCEPTED = {
    "ok": True, "success": True, "errcode": 0, "code": 0, "StatusCode": 0, "status": 1, "result": {}, "id": "1",
    "event_id": "$1", "room_id": "!r:x", "access_token": "t", "user_id": "@u:x", "joined_rooms": ["!r:x"],
}  # fmt: skip


class Arrived(NamedTuple):
    """One request as it came in."""

    host: str
    path: str
    body: bytes

    @property
    def text(self) -> str:
        """The body with the escapes of JSON and of forms undone, so that a search finds what a reader sees."""
        written = self.body.decode()
        if written.startswith(("{", "[")):
            return json.dumps(json.loads(written), ensure_ascii=False)
        return unquote_plus(written)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Services

    def do_CONNECT(self) -> None:
        """Speak TLS from here on, as the host that is asked for."""
        self.wfile.write(b"HTTP/1.1 200 Connected\r\n\r\n")
        self.connection = self.server.tls.wrap_socket(self.connection, server_side=True)
        self.rfile, self.wfile = self.connection.makefile("rb"), self.connection.makefile("wb", 0)
        self.close_connection = False

    def _answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.server.arrived.append(Arrived(self.headers.get("Host") or "", self.path, body))
        raw = b"ok" if self.headers.get("Host") == "hooks.slack.com" else json.dumps(_ACCEPTED).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(raw)))
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(raw)

    def finish(self) -> None:
        """Close the layer of TLS too."""
        super().finish()
        if isinstance(self.connection, ssl.SSLSocket):
            self.connection.close()

    do_GET = do_POST = do_PUT = _answer  # noqa: N815 -- as http.server calls them

    def log_message(self, format: str, *args: Any) -> None:
        """Write nothing."""


class Services(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, certificate: Path) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.tls.load_cert_chain(certificate)
        self.arrived: list[Arrived] = []

    @property
    def place(self) -> str:
        """Host and port, for services that a user runs."""
        return f"127.0.0.1:{self.server_address[1]}"


@contextmanager
def services(folder: Path, environment: pytest.MonkeyPatch) -> Iterator[Services]:
    """Reached by services of a fixed address through a proxy that speaks TLS in their name."""
    certificate = _certificate(folder)
    server = Services(certificate)
    environment.setenv("HTTPS_PROXY", f"http://{server.place}")
    environment.setenv("REQUESTS_CA_BUNDLE", str(certificate))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _certificate(folder: Path) -> Path:
    key, certificate, both = folder / "key.pem", folder / "certificate.pem", folder / "both.pem"
    names = ",".join(f"DNS:{host}" for host in HOSTS)
    command = [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:P-256",
        "-nodes",
        "-days",
        "1",
    ]
    command += ["-subj", "/CN=services", "-addext", f"subjectAltName={names}"]
    subprocess.run([*command, "-keyout", str(key), "-out", str(certificate)], check=True, capture_output=True)
    both.write_bytes(key.read_bytes() + certificate.read_bytes())
    return both
