"""Bringing the dashboards to Kibana: what is sent, and what each refusal becomes (of a real HTTP server)."""

from __future__ import annotations

import contextlib
import json
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from llmops.elastic.dashboards import KibanaProblem, boards, import_all
from llmops.shell.welcome import when_it_answers
from tests.elk.test_setup import make_certificates
from tests.route.processes import free_port

LOGIN = ("elastic", "secret")


class Kibana(ThreadingHTTPServer):
    """Takes dashboards as Kibana does: PUT only, with kbn-xsrf and JSON; answers with each of `statuses`, then 200."""

    daemon_threads = True

    def __init__(self, *statuses: int, tls: ssl.SSLContext | None = None) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        if tls is not None:
            self.socket = tls.wrap_socket(self.socket, server_side=True)
        self.statuses = list(statuses)
        self.taken: dict[str, Any] = {}
        self.logins: set[str | None] = set()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class _Handler(BaseHTTPRequestHandler):
    server: Kibana

    def do_PUT(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        status = self.server.statuses.pop(0) if self.server.statuses else 200
        if self.headers["kbn-xsrf"] is None or self.headers["Content-Type"] != "application/json":
            status = 400
        if status == 200:
            self.server.taken[self.path] = json.loads(body)
            self.server.logins.add(self.headers["Authorization"])
        answer = json.dumps({"statusCode": status, "message": "because\nof that"}).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def handle(self) -> None:
        """A client that does not trust us leaves in the middle: its own sentence says so."""
        with contextlib.suppress(ssl.SSLError, ConnectionError):
            super().handle()

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""


@contextmanager
def kibana(*statuses: int, tls: ssl.SSLContext | None = None) -> Iterator[Kibana]:
    with Kibana(*statuses, tls=tls) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield server
        server.shutdown()


def test_each_dashboard_is_put_under_its_id_as_often_as_one_likes() -> None:
    with kibana() as server:
        assert import_all(f"{server.url}/", LOGIN) == list(boards())
        once = dict(server.taken)
        import_all(server.url, LOGIN)
        assert server.taken == once == {f"/api/dashboards/{name}": body for name, body in boards().items()}
        assert server.logins == {"Basic ZWxhc3RpYzpzZWNyZXQ="}


def test_a_key_is_sent_as_one_and_a_space_is_part_of_the_address() -> None:
    with kibana() as server:
        import_all(f"{server.url}/s/ops", "ZW5jb2RlZA==")
        assert server.logins == {"ApiKey ZW5jb2RlZA=="}
        assert "/s/ops/api/dashboards/llmops-gpu" in server.taken


@pytest.mark.parametrize(
    ("status", "said"),
    [
        (400, "does not take the dashboard llmops-benchmarks: it says 400: because of that."),
        (401, "does not accept the user and password, or the key: because of that."),
        (403, "does not allow this user or key to write dashboards: because of that."),
        (404, "has no Dashboards API: it came with Kibana 9.5, so upgrade to that or newer."),
        (503, "says 503: because of that."),
    ],
)
def test_a_refusal_is_one_sentence(status: int, said: str) -> None:
    with kibana(status) as server, pytest.raises(KibanaProblem) as problem:
        import_all(server.url, LOGIN)
    assert str(problem.value) == f"{server.url} {said}"
    assert problem.value.passing == (status == 503)


def test_a_kibana_that_starts_is_waited_for_and_one_that_refuses_is_not() -> None:
    with kibana(503, 503) as server:
        assert len(when_it_answers(lambda: import_all(server.url, LOGIN), patience_s=10, pause_s=0.01)) == 5
    with kibana(401) as server, pytest.raises(KibanaProblem, match="does not accept"):
        when_it_answers(lambda: import_all(server.url, LOGIN), patience_s=10, pause_s=0.01)


def test_nobody_there_is_one_sentence(tmp_path: Path) -> None:
    url = f"http://127.0.0.1:{free_port()}"
    with pytest.raises(KibanaProblem, match=f"No Kibana answers at {url}: is it running?"):
        when_it_answers(lambda: import_all(url, LOGIN), patience_s=0, pause_s=0.01)
    with kibana() as server, pytest.raises(KibanaProblem, match=r"speaks no TLS: let elastic\.kibana_url begin"):
        import_all(server.url.replace("http://", "https://"), LOGIN)
    for authority in (tmp_path / "missing", Path(__file__)):
        with pytest.raises(KibanaProblem, match=r"can't be read as the certificate of an authority\."):
            import_all(url, LOGIN, ca_certs=authority)
    with pytest.raises(KibanaProblem, match="There are no dashboards in"):
        import_all(url, LOGIN, folder=tmp_path)


def test_kibanas_certificate_is_checked_against_the_stacks_own_authority(tmp_path: Path) -> None:
    assert make_certificates(tmp_path).returncode == 0
    own = tmp_path / "parts" / "kibana"
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(own / "kibana.crt", own / "kibana.key")
    with kibana(tls=context) as server:
        url = server.url.replace("http://127.0.0.1", "https://localhost")
        assert len(import_all(url, LOGIN, ca_certs=own / "ca.crt")) == len(server.taken) == len(boards())
        with pytest.raises(KibanaProblem, match="signed by nobody that"):
            import_all(url, LOGIN)
