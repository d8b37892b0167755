"""One document of each stream with a value in every field, and what the road makes of a journal line."""

from __future__ import annotations

import json
import time
from typing import Any

import httpx

from llmops.elastic.streams import Stream
from llmops.events.names import FieldType, timestamp
from llmops.events.origin import new_event_id

VALUES: dict[FieldType, Any] = {
    "keyword": "word",
    "text": "some words",
    "long": 5,
    "double": 0.5,
    "boolean": True,
    "date": "2026-01-31T23:59:59.123Z",
    "ip": "192.0.2.7",
    "flattened": {"team": "ops"},
}


def full(stream: Stream, namespace: str) -> dict[str, Any]:
    """A flat document with every field that the stream maps, of this moment."""
    now = time.time()
    document = {field: VALUES[kind] for field, kind in stream.fields.items() if kind != "flattened"}
    named = {
        "@timestamp": timestamp(now),
        "event.id": new_event_id(now),
        "event.dataset": stream.dataset,
        "data_stream.type": stream.type,
        "data_stream.dataset": stream.dataset,
        "data_stream.namespace": namespace,
    }
    return {**named, **{key: value for key, value in document.items() if key not in named}}


def expanded(document: dict[str, Any]) -> dict[str, Any]:
    """Filebeat's expand_keys: dots become objects, and Go writes a whole double without its decimal."""
    nested: dict[str, Any] = {}
    for name, value in document.items():
        *parents, last = name.split(".")
        place = nested
        for parent in parents:
            place = place.setdefault(parent, {})
        place[last] = int(value) if isinstance(value, float) and value.is_integer() else value
    return nested


def as_filebeat_sends(document: dict[str, Any], offset: int = 0) -> dict[str, Any]:
    """The line as a document, with what Filebeat adds: agent, input, log.file, log.offset, ecs.version, host.name."""
    nested = expanded(document)
    nested["agent"] = {
        "ephemeral_id": "9d3a", "id": "6c1f", "name": "box", "type": "filebeat", "version": "9.5.4"
    }  # fmt: skip
    nested["input"] = {"type": "filestream"}
    nested.setdefault("log", {}).update(
        offset=offset,
        file={"path": "/journal/serve.jsonl", "inode": "12", "device_id": "65", "fingerprint": "5f3c"},
    )
    nested["ecs"] = {"version": "8.0.0"}
    nested.setdefault("host", {})["name"] = "the-container"
    return nested


def as_logstash_sends(document: dict[str, Any], offset: int = 0) -> dict[str, Any]:
    """And what Logstash adds; its pipeline removes the first and the last, which must do no harm where it does not."""
    nested = as_filebeat_sends(document, offset)
    nested["@version"] = "1"
    nested["tags"] = ["beats_input_raw_event"]
    nested["event"]["original"] = json.dumps(document)
    return nested


def bulk_create(http: httpx.Client, stream: str, documents: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """As Logstash's output and `llmops ship` do: `_bulk` with op create under the event's id. The result of each."""
    lines = []
    for document in documents:
        event = document["event"]["id"] if "event" in document else document["event.id"]
        lines += [json.dumps({"create": {"_index": stream, "_id": event}}), json.dumps(document)]
    answer = http.post(
        "/_bulk?refresh=true", content="\n".join(lines) + "\n", headers={"content-type": "application/x-ndjson"}
    )
    answer.raise_for_status()
    return [item["create"] for item in answer.json()["items"]]
