"""The stack's setup step, as the containers run it: certificates that parts accept, a server made ready."""

from __future__ import annotations

import json
import os
import shutil
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from llmops.elastic.streams import REQUESTS, STREAMS
from llmops.elastic.templates import template_of
from llmops.events.documents import RequestEvent
from tests.elastic.server import ElasticServer
from tests.events.test_origin import ORIGIN

DEPLOY = Path(__file__).parents[2] / "deploy"


def run(script: str, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["bash", str(DEPLOY / script), *arguments],
        env={"PATH": os.environ["PATH"], **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("certificates")
    made = make_certificates(folder)
    assert (made.returncode, made.stdout) == (0, "certificates: ready\n"), made.stderr
    return folder


def make_certificates(folder: Path) -> subprocess.CompletedProcess[str]:
    """Those of each part in its folder; the authority's key in `authority` beside them."""
    return run("elk-certificates.sh", str(folder / "parts"), str(folder / "authority"))


def test_filebeat_and_logstash_accept_each_other_and_nobody_else(certificates: Path) -> None:
    assert handshake(certificates, client="filebeat") == "logstash"
    with pytest.raises((ssl.SSLError, ConnectionError)):
        handshake(certificates, client=None)


def test_keys_are_pkcs8_and_closed_to_the_world(certificates: Path) -> None:
    for key in certificates.glob("parts/*/*.key"):
        assert key.read_text().startswith("-----BEGIN PRIVATE KEY-----")
        assert key.stat().st_mode & 0o007 == 0
    assert (certificates / "authority").stat().st_mode & 0o077 == 0
    assert (certificates / "authority" / "ca.key").stat().st_mode & 0o077 == 0


def test_a_part_has_its_own_key_and_nobody_has_the_authoritys(certificates: Path) -> None:
    parts = certificates / "parts"
    for part in ("elasticsearch", "kibana", "logstash", "filebeat"):
        assert {path.name for path in (parts / part).iterdir()} == {"ca.crt", f"{part}.crt", f"{part}.key"}
    assert {path.name for path in parts.iterdir() if path.is_file()} == {"ca.crt"}


def test_certificates_that_still_hold_are_left_alone(certificates: Path) -> None:
    assert make_certificates(certificates).returncode == 0
    before = contents(certificates)
    assert make_certificates(certificates).returncode == 0
    assert contents(certificates) == before


def test_an_authority_that_lay_beside_the_parts_keeps_its_certificate_and_its_key_leaves(
    certificates: Path, tmp_path: Path
) -> None:
    old = tmp_path / "parts"
    old.mkdir()
    shutil.copy(certificates / "parts" / "ca.crt", old)
    shutil.copy(certificates / "authority" / "ca.key", old)
    (old / "kibana.key").write_text("what every part could read")
    assert make_certificates(tmp_path).returncode == 0
    assert (old / "ca.crt").read_bytes() == (certificates / "parts" / "ca.crt").read_bytes()
    assert {path.name for path in old.iterdir() if path.is_file()} == {"ca.crt"}
    assert handshake(tmp_path, client="filebeat") == "logstash"


@pytest.mark.parametrize("lost", ["authority/ca.key", "parts/logstash/logstash.key"])
def test_whatever_is_lost_is_made_anew_and_fits_the_rest(certificates: Path, tmp_path: Path, lost: str) -> None:
    shutil.copytree(certificates, tmp_path / "all")
    (tmp_path / "all" / lost).write_text("damaged")
    assert make_certificates(tmp_path / "all").returncode == 0
    assert handshake(tmp_path / "all", client="filebeat") == "logstash"


def contents(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def handshake(folder: Path, client: str | None) -> str:
    """TLS with both sides' certificates; the name in the server's, once the server took the client's."""
    parts = folder / "parts"
    serving = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=parts / "ca.crt")
    serving.load_cert_chain(parts / "logstash" / "logstash.crt", parts / "logstash" / "logstash.key")
    serving.verify_mode = ssl.CERT_REQUIRED
    calling = ssl.create_default_context(cafile=parts / "ca.crt")
    if client is not None:
        calling.load_cert_chain(parts / client / f"{client}.crt", parts / client / f"{client}.key")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        answering = threading.Thread(target=answer_once, args=(listener, serving))
        answering.start()
        try:
            with (
                socket.create_connection(listener.getsockname(), timeout=10) as plain,
                calling.wrap_socket(plain, server_hostname="logstash") as secure,
            ):
                assert secure.recv(2) == b"ok"
                certificate: dict[str, Any] = secure.getpeercert() or {}
                return str(certificate["subject"][0][0][1])
        finally:
            answering.join(10)


def answer_once(listener: socket.socket, context: ssl.SSLContext) -> None:
    plain, _ = listener.accept()
    try:
        with context.wrap_socket(plain, server_side=True) as secure:
            secure.sendall(b"ok")
    except (ssl.SSLError, ConnectionError):
        plain.close()


class Stack:
    """What the setup step works on: a server, and the folders of templates and keys."""

    def __init__(self, server: ElasticServer, folder: Path) -> None:
        self.server = server
        self.templates = folder / "templates"
        self.keys = folder / "keys"
        self.keys.mkdir()
        self.templates.mkdir()
        for stream in STREAMS:
            (self.templates / f"{stream.template}.json").write_text(json.dumps(template_of(stream)))

    def setup(self, **changed: str) -> subprocess.CompletedProcess[str]:
        given = {
            "ELASTICSEARCH_URL": self.server.url,
            "ELASTIC_PASSWORD": self.server.password,
            "KIBANA_PASSWORD": "kibana-of-the-tests",
            "CA": "",
            "TEMPLATES": str(self.templates),
            "KEYS": str(self.keys),
        }
        return run("elk-setup.sh", **{**given, **changed})

    def key(self) -> str:
        return (self.keys / "logstash.env").read_text().strip().removeprefix("LOGSTASH_API_KEY=")

    def as_logstash(self) -> httpx.Client:
        encoded = httpx.BasicAuth(*self.key().split(":"))._auth_header.removeprefix("Basic ")
        return httpx.Client(base_url=self.server.url, headers={"Authorization": f"ApiKey {encoded}"}, timeout=30)


@pytest.fixture(scope="module")
def stack(elastic_server: ElasticServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    stack = Stack(elastic_server, tmp_path_factory.mktemp("stack"))
    done = stack.setup()
    assert (done.returncode, done.stdout) == (0, f"setup: done, {len(STREAMS)} templates\n"), done.stderr
    yield stack


@pytest.mark.elastic
def test_kibana_gets_its_password_and_a_second_run_keeps_the_key(stack: Stack) -> None:
    key = stack.key()
    assert stack.setup().returncode == 0
    assert stack.key() == key
    me = httpx.get(f"{stack.server.url}/_security/_authenticate", auth=("kibana_system", "kibana-of-the-tests"))
    assert me.json()["username"] == "kibana_system"
    assert (stack.keys / "logstash.env").stat().st_mode & 0o007 == 0


@pytest.mark.elastic
def test_a_lost_key_is_replaced_and_the_lost_one_opens_nothing(stack: Stack) -> None:
    with stack.as_logstash() as lost:
        (stack.keys / "logstash.env").unlink()
        assert stack.setup().returncode == 0
        with stack.as_logstash() as found:
            assert found.get("/_security/_authenticate").status_code == 200
        assert lost.get("/_security/_authenticate").status_code == 401


@pytest.mark.elastic
def test_logstash_may_add_documents_to_our_streams_and_nothing_else(stack: Stack, namespace: str) -> None:
    document = ORIGIN.document(RequestEvent(at=1.0, request_id="r1"))
    created = f"/{REQUESTS.name(namespace)}/_create/{document['event.id']}?refresh=true"
    with stack.as_logstash() as logstash:
        assert logstash.put(created, json=document).status_code == 201
        assert logstash.put(created, json=document).status_code == 409
        assert logstash.get("/").status_code == 200, "Logstash asks for the version when it starts"
        again = logstash.put(f"/{REQUESTS.name(namespace)}/_doc/{document['event.id']}", json=document)
        assert again.status_code in (400, 403), "what is there is never written over"
        for method, path in (
            ("GET", f"/{REQUESTS.name(namespace)}/_search"),
            ("PUT", "/logs-other.thing-default/_create/1"),
            ("GET", "/_security/user"),
            ("DELETE", f"/{REQUESTS.name(namespace)}"),
        ):
            assert logstash.request(method, path, json={} if method == "PUT" else None).status_code == 403, path


@pytest.mark.elastic
def test_a_wrong_password_or_a_bad_template_is_one_sentence(stack: Stack, tmp_path: Path) -> None:
    wrong = stack.setup(ELASTIC_PASSWORD="not-it")
    assert wrong.returncode == 1
    assert "setup: the password of the user elastic is not the one in .env" in wrong.stderr
    (tmp_path / "llmops.bad.json").write_text('{"index_patterns": ["logs-bad-*"], "no_such_thing": 1}')
    bad = stack.setup(TEMPLATES=str(tmp_path))
    assert bad.returncode == 1
    assert "setup: the template llmops.bad was not taken." in bad.stderr
