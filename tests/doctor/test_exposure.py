"""The doctor asks a running serve as from elsewhere, and through a proxy that listens on this machine."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from llmops.doctor.collect_exposure import exposure_facts
from llmops.doctor.facts import ExposureFacts
from llmops.settings import load
from tests.route.processes import Box, free_port, until

PROXY = """
import ctypes, http.client, sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

ctypes.CDLL(None).prctl(15, b"nginx")  # its name, as the system shows it
port, serve_port, version = int(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
http.client.HTTPConnection._http_vsn_str = f"HTTP/1.{version}"

class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        serve = http.client.HTTPConnection("127.0.0.1", serve_port)
        serve.request("GET", self.path)
        answer = serve.getresponse()
        self.send_response(answer.status)
        self.end_headers()
        self.wfile.write(answer.read())

    def log_message(self, *_):
        pass

ThreadingHTTPServer(("127.0.0.1", port), Handler).serve_forever()
"""
"""Passes requests on with no header of its own, as nginx does unless told otherwise."""


@contextlib.contextmanager
def proxying(serve_port: int, version: int) -> Iterator[int]:
    port = free_port()
    process = subprocess.Popen([sys.executable, "-c", PROXY, str(port), str(serve_port), str(version)])
    try:
        until(lambda: answers(f"http://127.0.0.1:{port}/health"), 20)
        yield port
    finally:
        process.kill()
        process.wait()


def answers(url: str) -> bool:
    with contextlib.suppress(httpx.HTTPError):
        return httpx.get(url).status_code == 200
    return False


def facts(box: Box, **settings: Any) -> ExposureFacts:
    flags = {"serve.port": box.port, "state.directory": str(box.directory)}
    return exposure_facts(load({**flags, **settings}).settings)


@pytest.mark.skipif(sys.platform != "linux", reason="a process renames itself with prctl")
def test_a_proxy_that_lets_everybody_in_is_found_and_behind_the_setting_it_is_not_one(tmp_path: Path) -> None:
    box = Box(tmp_path, gpu__kind="none")
    assert facts(box) == ExposureFacts()
    with box.program("serve"):
        box.until_ready()
        assert facts(box).gets_in == ()
        with proxying(box.port, 1) as port:
            assert any(f":{port}" in name for name in facts(box).open_proxies)
        with proxying(box.port, 0) as port:
            found = facts(box)
            assert any(f"nginx at http://127.0.0.1:{port}" == name for name in found.guarded_proxies)
            assert (found.open_proxies, "nginx" in found.running) == ((), True)
    guarded = Box(tmp_path, gpu__kind="none", serve__behind_proxy=True)
    with guarded.program("serve"), proxying(guarded.port, 1) as port:
        until(lambda: answers(f"{guarded.url}/health"), 30)
        found = facts(guarded)
        assert any(f":{port}" in name for name in found.guarded_proxies)
        assert found.open_proxies == found.gets_in == ()


def test_a_serve_that_asks_nobody_is_found(tmp_path: Path) -> None:
    box = Box(tmp_path, gpu__kind="none", admission__keys="off")
    with box.program("serve"):
        box.until_ready()
        assert len(facts(box).gets_in) == 3
