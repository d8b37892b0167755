"""A real server that has one full document of each stream, for tests that ask it what a page or a panel asks."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from llmops.elastic.streams import STREAMS
from llmops.elastic.templates import template_of
from tests.elastic.server import ElasticServer
from tests.elk.documents import bulk_create, full


class Asked:
    """A server that has one full document of each stream, in a namespace of its own."""

    def __init__(self, http: httpx.Client, namespace: str) -> None:
        self.http = http
        self._namespace = namespace
        for stream in STREAMS:
            http.put(f"/_index_template/{stream.template}", json=template_of(stream)).raise_for_status()
            [result] = bulk_create(http, stream.name(namespace), [full(stream, namespace)])
            assert result["status"] == 201

    def streams(self, pattern: str) -> str:
        assert pattern in {stream.pattern for stream in STREAMS}, f"no stream is called {pattern}"
        return pattern.removesuffix("*") + self._namespace

    def types(self, pattern: str) -> dict[str, str]:
        """Field -> type, as the server has it."""
        answer = self.http.get(f"/{self.streams(pattern)}/_field_caps", params={"fields": "*"}).json()["fields"]
        return {field: next(iter(kinds)) for field, kinds in answer.items()}

    def search(self, pattern: str, body: dict[str, Any]) -> dict[str, Any]:
        answer = self.http.post(f"/{self.streams(pattern)}/_search", json=body)
        assert answer.status_code == 200, answer.text
        result: dict[str, Any] = answer.json()
        assert result["_shards"]["failed"] == 0
        return result


@pytest.fixture(scope="session")
def asked(elastic_server: ElasticServer) -> Iterator[Asked]:
    with httpx.Client(base_url=elastic_server.url, auth=elastic_server.auth, timeout=30) as http:
        yield Asked(http, "dashboards")
