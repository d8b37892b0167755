"""A small HTTP server that says what an Elasticsearch of another kind would say; and a certificate of no authority."""

from __future__ import annotations

import contextlib
import json
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

from tests.listening import QuietHandler, listening


class Asked(NamedTuple):
    """One request."""

    method: str
    path: str
    accept: str
    body: bytes


Respond: TypeAlias = Callable[[Asked], tuple[int, Any]]
"""Status and JSON body."""


@contextlib.contextmanager
def answering(respond: Respond, *, product: str | None = "Elasticsearch") -> Iterator[str]:
    """Its URL. product: what it claims to be in the header that clients look at."""

    class Handler(QuietHandler):
        protocol_version = "HTTP/1.1"

        def _answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length") or 0))
            asked = Asked(self.command, self.path, self.headers.get("accept") or "", body)
            status, content = respond(asked)
            raw = json.dumps(content).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(raw)))
            if product:
                self.send_header("X-elastic-product", product)
            self.end_headers()
            self.wfile.write(raw)

        do_GET = do_POST = do_PUT = do_HEAD = _answer  # noqa: N815 -- as http.server calls them

    with listening(Handler) as url:
        yield url


def self_signed(folder: Path) -> Path:
    """A file with a new key and a certificate for 127.0.0.1 that it signed itself."""
    key, certificate = folder / "key.pem", folder / "certificate.pem"
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
    command += ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"]
    subprocess.run([*command, "-keyout", str(key), "-out", str(certificate)], check=True, capture_output=True)
    both = folder / "both.pem"
    both.write_bytes(key.read_bytes() + certificate.read_bytes())
    return both
