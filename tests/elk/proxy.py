"""Debian's nginx, run for real with the project's configuration: only its addresses and folders are changed."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.route.processes import free_port, until

ROOT = Path(__file__).parents[2]
CONFIGURATION = ROOT / "deploy" / "nginx.conf"
NGINX = shutil.which("nginx") or "/usr/sbin/nginx"

needs_nginx = pytest.mark.skipif(not Path(NGINX).exists(), reason="no nginx here: apt-get install nginx-light")


@dataclasses.dataclass(frozen=True)
class Proxy:
    url: str
    directory: Path

    def lines(self) -> list[dict[str, Any]]:
        """Every line of every access log, rotated ones first; a line that is no JSON fails the test."""
        paths = sorted(self.directory.glob("*.jsonl"), key=lambda path: path.stat().st_mtime_ns)
        text = b"".join(path.read_bytes() for path in paths).decode("utf-8", "replace")
        return [json.loads(line) for line in text.split("\n")[:-1]]

    def line_of(self, request_id: str) -> dict[str, Any]:
        """The line of this request, which nginx writes a moment after the answer."""
        until(lambda: request_id in [line["http.request.id"] for line in self.lines()], 5.0)
        [line] = [line for line in self.lines() if line["http.request.id"] == request_id]
        return line


@contextlib.contextmanager
def proxy_before(serve_port: int, directory: Path, **changed: str) -> Iterator[Proxy]:
    """nginx in front of that port. changed: directives to set otherwise, `proxy_read_timeout="1s"`."""
    port = free_port()
    (directory / "nginx.conf").write_text(_configured(serve_port, port, directory, changed))
    user = (
        "user root; " if os.geteuid() == 0 else ""
    )  # the workers of a master that is root would find the folder closed
    command = [NGINX, "-c", str(directory / "nginx.conf"), "-e", str(directory / "error.log")]
    with (directory / "nginx.err").open("w") as errors:
        process = subprocess.Popen([*command, "-g", f"{user}daemon off;"], stderr=errors)
    proxy = Proxy(f"http://127.0.0.1:{port}", directory)
    try:
        until(lambda: _answers(proxy.url), 10.0, (directory / "nginx.err").read_text)
        yield proxy
    finally:
        process.terminate()
        process.wait(10)


def _configured(serve_port: int, port: int, directory: Path, changed: dict[str, str]) -> str:
    text = CONFIGURATION.read_text(encoding="utf-8")
    for old, new in (
        ("listen 127.0.0.1:8080;", f"listen 127.0.0.1:{port};"),
        ("server 127.0.0.1:8000 ", f"server 127.0.0.1:{serve_port} "),
        ("/var/log/nginx/access.jsonl", f"{directory}/access.jsonl"),
        ("worker_processes auto;", "worker_processes 1;"),
    ):
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    for name, value in changed.items():
        [line] = [line for line in text.splitlines() if line.strip().startswith(f"{name} ")]
        text = text.replace(line, f"    {name} {value};")
    return text.replace("/tmp/nginx", f"{directory}/nginx")


def _answers(url: str) -> bool:
    with contextlib.suppress(httpx.TransportError):
        return httpx.get(f"{url}/.nginx/health").status_code == 204
    return False
