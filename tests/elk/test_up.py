"""`llmops elk up` to its end: a docker that says all runs, a real Elasticsearch behind the stack's own certificate."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import ssl
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from llmops.elastic.dashboards import boards
from llmops.elastic.streams import REQUESTS
from tests.elastic.proxy import FaultProxy, fault_proxy
from tests.elastic.server import ElasticServer
from tests.elastic.shipments import Installation
from tests.elk.test_kibana import Kibana, kibana
from tests.elk.test_setup import make_certificates
from tests.elk.test_stack import docker_that
from tests.route.processes import Box

pytestmark = pytest.mark.elastic


@dataclasses.dataclass(frozen=True)
class Running:
    """The stack as `up` finds it when its containers run."""

    box: Box
    elasticsearch: FaultProxy
    kibana: Kibana


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("certificates")
    assert make_certificates(folder).returncode == 0
    for part in ("elasticsearch", "kibana"):
        own = folder / "parts" / part
        (own / f"{part}.pem").write_text((own / f"{part}.key").read_text() + (own / f"{part}.crt").read_text())
    return folder / "parts"


@pytest.fixture
def running(prepared_elastic: ElasticServer, certificates: Path, tmp_path: Path) -> Iterator[Running]:
    """`docker compose cp` brings the authority's certificate, as it would out of the container."""
    with started(prepared_elastic, certificates, tmp_path, prepared_elastic.password) as stack:
        yield stack


@contextlib.contextmanager
def started(server: ElasticServer, certificates: Path, folder: Path, password: str) -> Iterator[Running]:
    (folder / "docker-compose.elk.yml").write_text("services: {}\n")
    script = f'for last; do :; done; case "$*" in *" cp "*) cp {certificates}/ca.crt "$last";; esac'
    box = Box(folder, elastic__request_days=9)
    box.environment["PATH"] = f"{docker_that(folder, script)}:{os.environ['PATH']}"
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificates / "kibana" / "kibana.pem")
    with (
        fault_proxy(server.port, certificates / "elasticsearch" / "elasticsearch.pem") as proxy,
        kibana(tls=context) as boards_taker,
    ):
        lines = (
            f"ELASTIC_PASSWORD={password}",
            f"ELASTICSEARCH_PORT={proxy.port}",
            f"KIBANA_PORT={boards_taker.server_address[1]}",
        )
        (folder / ".env").write_text("\n".join(lines))
        yield Running(box, proxy, boards_taker)


def test_up_after_an_upgrade_rolls_streams_over_and_keeps_them_as_long_as_the_dials_say(
    running: Running, prepared_elastic: ElasticServer, namespace: str, tmp_path: Path
) -> None:
    home = Installation(tmp_path / "shipped", prepared_elastic.dials(), namespace)
    home.write([home.request()])
    assert home.ship() == 0
    stream = REQUESTS.name(namespace)
    with prepared_elastic.connect() as client:
        client.indices.put_mapping(index=stream, meta={"schema_version": "0"})
        try:
            done = running.box.call("elk", "up")
            assert (done.returncode, done.stdout) == (0, ""), done.stderr
            [found] = client.indices.resolve_index(name=stream).body["data_streams"]
            installed = client.indices.get_index_template(name=REQUESTS.template).body["index_templates"][0]
        finally:
            home.setup()  # the template is everybody's: as long as it was
    assert f"Stream {stream}: rolled over, its fields have changed." in done.stderr
    assert len(found["backing_indices"]) == 2
    assert installed["index_template"]["template"]["lifecycle"]["data_retention"] == "9d"
    asked = {path: json.loads(body) for method, path, body in running.elasticsearch.asked if method == "PUT" if body}
    assert asked[f"/_data_stream/{REQUESTS.pattern}/_lifecycle"] == {"data_retention": "9d"}
    assert set(running.kibana.taken) == {f"/api/dashboards/{name}" for name in boards()}
    assert prepared_elastic.password not in done.stderr
    assert stat.S_IMODE((tmp_path / "elk").stat().st_mode) == 0o700


def test_up_with_a_password_that_the_data_does_not_know_says_so_and_shows_none(
    prepared_elastic: ElasticServer, certificates: Path, tmp_path: Path
) -> None:
    with started(prepared_elastic, certificates, tmp_path, "another-password") as stack:
        done = stack.box.call("elk", "up")
        assert done.returncode == 1
        [sentence] = [line for line in done.stderr.splitlines() if line.startswith("The parts run, but")]
        assert "does not accept" in sentence and sentence.endswith("`llmops elk up` again.")
        assert "another-password" not in done.stderr and not stack.kibana.taken
