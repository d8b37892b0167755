"""A real Elasticsearch for tests: the one that LLMOPS_TEST_ELASTICSEARCH_URL names, or one that is started here."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import urllib.parse
import uuid
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from elasticsearch import Elasticsearch

from llmops.elastic.client import connect
from llmops.elastic.setup import prepare
from llmops.settings import ElasticSettings

START = Path(__file__).parents[3] / "shared" / "elasticsearch" / "start"
URL_VARIABLE = "LLMOPS_TEST_ELASTICSEARCH_URL"
NOT_RUN = "the Elasticsearch tests did not run"
SKIPPED = f"{NOT_RUN}: there is no {START}, and {URL_VARIABLE} is not set"


@dataclasses.dataclass(frozen=True, slots=True)
class ElasticServer:
    """A running server with security on, and its superuser."""

    url: str
    username: str
    password: str

    @property
    def port(self) -> int:
        """Where it listens on 127.0.0.1."""
        return urllib.parse.urlsplit(self.url).port or 9200

    def dials(self, url: str | None = None, **others: object) -> ElasticSettings:
        """Dials that lead there, over `url` if it is given."""
        who = {"username": self.username, "password": self.password}
        return ElasticSettings.model_validate({"url": url or self.url, **who, **others})

    def connect(self, url: str | None = None) -> Elasticsearch:
        """A client that may do anything."""
        return connect(self.dials(url))

    @property
    def auth(self) -> tuple[str, str]:
        """For HTTP clients: user and password."""
        return (self.username, self.password)


@dataclasses.dataclass(slots=True)
class ElasticProcess:
    """One that was started here; its data outlives `kill` and is found again by `start`."""

    folder: Path
    port: int
    password: str
    _process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it and wait until it answers. Skips the test when there is no Java for it."""
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [str(START), str(self.folder / "node"), str(self.port)],
                env={**os.environ, "ELASTIC_PASSWORD": self.password},
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self.wait_until_ready()

    def wait_until_ready(self, timeout_s: float = 100.0) -> None:
        """Until it says that its cluster is there."""
        deadline = time.monotonic() + timeout_s
        url = f"http://127.0.0.1:{self.port}/_cluster/health?wait_for_status=yellow"
        while time.monotonic() < deadline:
            with contextlib.suppress(httpx.HTTPError):
                if httpx.get(url, auth=("elastic", self.password), timeout=5).status_code == 200:
                    return
            if self._process is not None and self._process.poll() is not None:
                last = (self.folder / "log").read_text(errors="replace").strip().splitlines()[-1:]
                pytest.skip(f"{NOT_RUN}: {''.join(last)}")
            time.sleep(0.2)
        pytest.fail(f"Elasticsearch did not start in {timeout_s} s: see {self.folder / 'log'}")

    def kill(self) -> None:
        """As a power cut would: kill -9 of the server and of what started it."""
        if self._process is None:
            return
        with contextlib.suppress(OSError, ValueError):
            os.kill(int((self.folder / "node" / "pid").read_text()), signal.SIGKILL)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self._process = None


@contextlib.contextmanager
def own_process(port: int = 0) -> Iterator[ElasticProcess]:
    """A process of its own in a temporary folder, not started yet; it ends with the block and leaves nothing."""
    folder = Path(tempfile.mkdtemp(prefix="llmops-elasticsearch-"))
    folder.chmod(0o755)  # as root, the server becomes another user
    process = ElasticProcess(folder, port or free_port(), secrets.token_hex(12))
    try:
        yield process
    finally:
        process.kill()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def elastic_server() -> Iterator[ElasticServer]:
    """The one server of the whole run; give each test a `namespace` of its own on it."""
    if named := os.environ.get(URL_VARIABLE):
        parts = urllib.parse.urlsplit(named)
        bare = f"{parts.scheme}://{parts.hostname}:{parts.port or 9200}"
        yield ElasticServer(bare, parts.username or "elastic", parts.password or "")
        return
    if not START.exists():
        pytest.skip(SKIPPED)
    with own_process() as process:
        process.start()
        yield ElasticServer(f"http://127.0.0.1:{process.port}", "elastic", process.password)


@pytest.fixture(scope="session")
def prepared_elastic(elastic_server: ElasticServer) -> ElasticServer:
    """The same server, with our templates."""
    with elastic_server.connect() as client:
        list(prepare(client, {}))
        client.cluster.put_settings(persistent={"cluster.max_shards_per_node": 5000})  # no stream is ever deleted
    return elastic_server


@pytest.fixture
def namespace() -> str:
    """A data stream namespace that no other test writes to."""
    return f"t{uuid.uuid4().hex[:12]}"


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
