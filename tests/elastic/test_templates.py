"""The templates on a real server: each field that is written is mapped, nothing is dropped in silence."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from llmops.elastic.streams import REQUESTS, STREAMS, Stream, stream_of
from llmops.elastic.templates import template_of
from llmops.events import Document, Event
from tests.elastic.server import ElasticServer
from tests.events.test_names import EVENTS
from tests.events.test_origin import ORIGIN

pytestmark = pytest.mark.elastic


@pytest.fixture
def http(elastic_server: ElasticServer) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=elastic_server.url, auth=elastic_server.auth, timeout=30) as client:
        for stream in STREAMS:
            client.put(f"/_index_template/{stream.template}", json=template_of(stream)).raise_for_status()
        yield client


def create(http: httpx.Client, name: str, document: Document) -> httpx.Response:
    path = f"/{name}/_create/{document['event.id']}?refresh=true"
    return http.put(path, content=json.dumps(document), headers={"content-type": "application/json"})


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: type(event).__name__)
def test_every_field_that_we_write_is_mapped_with_its_type(http: httpx.Client, namespace: str, event: Event) -> None:
    document = ORIGIN.document(event)
    stream = stream_of(document["event.dataset"])
    assert stream is not None
    assert create(http, stream.name(namespace), document).status_code == 201
    known = http.get(f"/{stream.name(namespace)}/_field_caps", params={"fields": "*"}).json()["fields"]
    for field in document:
        written = "labels" if field.startswith("labels.") else field
        assert list(known[written]) == [stream.fields[written]], field


@pytest.mark.parametrize("stream", STREAMS, ids=lambda stream: stream.dataset)
def test_our_template_wins_over_the_built_in_one(http: httpx.Client, namespace: str, stream: Stream) -> None:
    made: dict[str, Any] = http.post(f"/_index_template/_simulate_index/{stream.name(namespace)}").json()["template"]
    index = made["settings"]["index"]
    assert (index["mode"], index["auto_expand_replicas"]) == ("logsdb", "0-1")
    assert index["mapping"]["ignore_malformed"] == "false"
    assert made["mappings"]["dynamic"] == "false"
    assert made["lifecycle"]["data_retention"] == f"{stream.keep_days}d"


def test_a_document_comes_back_as_it_went_in_with_what_others_added(http: httpx.Client, namespace: str) -> None:
    document = ORIGIN.document(EVENTS[0]) | {"agent": {"name": "filebeat", "version": "9.5.4"}, "input.type": "x"}
    create(http, REQUESTS.name(namespace), document)
    found = http.get(f"/{REQUESTS.name(namespace)}/_search").json()["hits"]["hits"]
    assert [hit["_source"] for hit in found] == [document]


def test_a_value_of_the_wrong_type_is_refused_and_not_dropped(http: httpx.Client, namespace: str) -> None:
    document = ORIGIN.document(EVENTS[0]) | {"gen_ai.server.request.duration": "long"}
    answer = create(http, REQUESTS.name(namespace), document)
    assert answer.status_code == 400
    assert answer.json()["error"]["type"] == "document_parsing_exception"


def test_a_word_of_any_length_is_taken(http: httpx.Client, namespace: str) -> None:
    document = ORIGIN.document(EVENTS[0]) | {"http.request.id": "x" * 100_000}
    assert create(http, REQUESTS.name(namespace), document).status_code == 201


def test_installing_the_templates_again_changes_nothing(http: httpx.Client) -> None:
    def installed() -> list[Any]:
        return [http.get(f"/_index_template/{stream.template}").json() for stream in STREAMS]

    before = installed()
    for stream in STREAMS:
        http.put(f"/_index_template/{stream.template}", json=template_of(stream)).raise_for_status()
    assert installed() == before
