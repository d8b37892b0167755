"""What Filebeat and Logstash send is taken, mapped and never doubled; every field they touch is known."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from llmops.elastic.access import ACCESS_FIELDS
from llmops.elastic.streams import ACCESS, EVENT_STREAMS, STREAMS, Stream
from llmops.elastic.templates import template_of
from llmops.events.names import ECS_VERSION, SCHEMA_VERSION
from llmops.settings import Settings
from tests.elastic.server import ElasticServer
from tests.elk.documents import as_filebeat_sends, as_logstash_sends, bulk_create, expanded, full
from tests.elk.proxy import CONFIGURATION, ROOT, needs_nginx, proxy_before

# Filebeat's and Logstash's own: they stay in the document and are not mapped.
THEIRS = re.compile(r"^(@version|@metadata\..*|log\.(offset|file\..*)|event\.original|dead_letter\..*)$")


@pytest.fixture
def http(elastic_server: ElasticServer) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=elastic_server.url, auth=elastic_server.auth, timeout=30) as client:
        for stream in STREAMS:
            client.put(f"/_index_template/{stream.template}", json=template_of(stream)).raise_for_status()
        yield client


def found(http: httpx.Client, stream: str, **query: Any) -> list[dict[str, Any]]:
    hits: list[dict[str, Any]] = http.post(f"/{stream}/_search", json=query).json()["hits"]["hits"]
    return hits


@pytest.mark.elastic
@pytest.mark.parametrize("send", [as_filebeat_sends, as_logstash_sends, expanded, dict])
@pytest.mark.parametrize("stream", EVENT_STREAMS, ids=lambda stream: stream.dataset)
def test_a_document_is_taken_once_whichever_way_it_comes(
    http: httpx.Client, namespace: str, stream: Stream, send: Any
) -> None:
    document, name = full(stream, namespace), stream.name(namespace)
    assert [each["status"] for each in bulk_create(http, name, [send(document)])] == [201]
    for again in (as_logstash_sends, as_filebeat_sends, dict):
        [refused] = bulk_create(http, name, [again(document)])
        assert (refused["status"], refused["error"]["type"]) == (409, "version_conflict_engine_exception")
    [hit] = found(http, name)
    assert "_ignored" not in hit
    for field, kind in stream.fields.items():
        if kind not in ("flattened", "text") and field not in ("host.name", "ecs.version"):
            assert found(http, name, query={"term": {field: document[field]}}), f"{field} can't be found"


@pytest.mark.elastic
def test_what_they_add_is_kept_and_not_mapped(http: httpx.Client, namespace: str) -> None:
    stream = EVENT_STREAMS[0]
    name = stream.name(namespace)
    bulk_create(http, name, [as_logstash_sends(full(stream, namespace), offset=4711)])
    [hit] = found(http, name)
    assert hit["_source"]["log"]["offset"] == 4711
    assert hit["_source"]["agent"]["type"] == "filebeat"
    known = http.get(f"/{name}/_field_caps", params={"fields": "*", "filters": "-metadata"}).json()["fields"]
    assert not {field for field in known if field.startswith(("agent", "input", "tags", "log.file", "@version"))}


@pytest.mark.elastic
@needs_nginx
def test_a_line_of_the_access_log_is_taken_with_every_field_mapped(
    http: httpx.Client, namespace: str, tmp_path: Path
) -> None:
    with proxy_before(1, tmp_path) as proxy:
        httpx.get(f"{proxy.url}/v1/models?x=1", headers={"X-Request-ID": "in-the-log"})
        line = proxy.line_of("in-the-log")
    assert not {field for field in line if field not in ACCESS.fields}
    name = ACCESS.name(namespace)
    assert [each["status"] for each in bulk_create(http, name, [as_logstash_sends(line)])] == [201]
    [hit] = found(http, name, query={"range": {"event.duration": {"gte": 0}}})
    assert "_ignored" not in hit
    assert found(http, name, query={"term": {"nginx.upstream.status": "502"}})


def test_the_access_log_says_of_itself_what_the_events_say() -> None:
    text = CONFIGURATION.read_text(encoding="utf-8")
    assert f'"ecs.version":"{ECS_VERSION}","llmops.schema_version":"{SCHEMA_VERSION}"' in text
    assert f'"data_stream.namespace":"{Settings().events.namespace}"' in text
    written = re.findall(r'"([\w.@]+)":', text[text.index("log_format llmops") : text.index("access_log")])
    assert len(written) > 20
    assert set(written) - set(ACCESS.fields) == set()
    assert {"client.ip", "user_agent.original"} <= set(ACCESS_FIELDS), "what the comment offers has a mapping"


def test_every_field_of_the_access_log_is_documented_with_its_type() -> None:
    page = (ROOT / "docs" / "events.md").read_text(encoding="utf-8")
    assert not {field for field, kind in ACCESS_FIELDS.items() if f"| `{field}` | {kind} |" not in page}


def test_every_field_that_logstash_names_is_mapped_or_its_own() -> None:
    known = {field for stream in STREAMS for field in stream.fields}
    for path in sorted((ROOT / "logstash" / "pipeline").glob("*.conf")):
        text = re.sub(r"#.*", "", path.read_text(encoding="utf-8"))
        named = {found.strip("[]").replace("][", ".") for found in re.findall(r"(?:\[[@a-z_]+\])+", text)}
        assert named, path
        assert {field for field in named if field not in known and not THEIRS.match(field)} == set()


def test_logstash_keeps_what_it_took_and_what_was_refused() -> None:
    pipelines = yaml.safe_load((ROOT / "logstash" / "config" / "pipelines.yml").read_text())
    [main] = [each for each in pipelines if each["pipeline.id"] == "llmops"]
    assert (main["queue.type"], main["dead_letter_queue.enable"]) == ("persisted", True)
    for each in pipelines:
        assert (ROOT / "logstash" / "pipeline" / Path(each["path.config"]).name).exists()
    text = (ROOT / "logstash" / "pipeline" / "llmops.conf").read_text()
    for option in ("data_stream => true", 'document_id => "%{[event][id]}"', '["version_conflict_engine_exception"]'):
        assert option in text


def test_filebeat_knows_a_file_by_less_than_its_first_line() -> None:
    beat = yaml.safe_load((ROOT / "deploy" / "filebeat.yml").read_text())
    shortest = len(full(EVENT_STREAMS[0], "x")["@timestamp"]) + len('{"@timestamp":"","event.id":""') + 36
    for each in beat["filebeat.inputs"]:
        length = each["prospector.scanner.fingerprint"]["length"]
        assert 64 <= length < 200, "64 is Filebeat's least; an event is never shorter than 200 bytes"
        assert length > shortest, "time and id are in it, so no two files are alike"
        [parser] = each["parsers"]
        assert parser["ndjson"] == {"target": "", "expand_keys": True, "overwrite_keys": True, "add_error_key": True}
    assert len({each["id"] for each in beat["filebeat.inputs"]}) == len(beat["filebeat.inputs"])
