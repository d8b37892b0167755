"""Where an event comes from, and the header that every document begins with."""

from __future__ import annotations

import dataclasses
import os
import uuid
from collections.abc import Mapping

from llmops.events.alert import AlertEvent
from llmops.events.documents import Event
from llmops.events.names import ECS_VERSION, SCHEMA_VERSION, Document, FieldType, timestamp, to_fields

HEADER_FIELDS: Mapping[str, FieldType] = {
    "@timestamp": "date",
    "event.id": "keyword",
    "event.kind": "keyword",
    "event.category": "keyword",
    "event.type": "keyword",
    "event.dataset": "keyword",
    "data_stream.type": "keyword",
    "data_stream.dataset": "keyword",
    "data_stream.namespace": "keyword",
    "ecs.version": "keyword",
    "llmops.schema_version": "keyword",
    "service.name": "keyword",
    "service.version": "keyword",
    "service.environment": "keyword",
    "service.node.name": "keyword",
    "host.name": "keyword",
    "host.id": "keyword",
    "process.pid": "long",
    "log.level": "keyword",
    "message": "text",
    "labels": "flattened",
}
"""The header of every document, with the Elasticsearch type of each field; labels are written as `labels.<key>`."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """The process that writes: the part of the header that never changes while it lives."""

    service_name: str
    service_version: str
    instance_id: str
    host_name: str
    host_id: str
    process_id: int
    environment: str = "default"
    namespace: str = "default"
    labels: tuple[tuple[str, str], ...] = ()

    def document(self, event: Event) -> Document:
        """The event as a flat document: `@timestamp` and `event.id` first, then the header, then its fields.

        Log shippers tell files apart by their first bytes, so nothing constant may come before the id.
        """
        given = event.event_id if isinstance(event, AlertEvent) else None
        document: Document = {
            "@timestamp": timestamp(event.at),
            "event.id": given or new_event_id(event.at),
            "event.kind": event.kind,
            "event.category": list(event.category),
            "event.type": list(event.type),
            "event.dataset": event.dataset,
            "data_stream.type": event.stream_type,
            "data_stream.dataset": event.dataset,
            "data_stream.namespace": self.namespace,
            "ecs.version": ECS_VERSION,
            "llmops.schema_version": SCHEMA_VERSION,
            "service.name": self.service_name,
            "service.version": self.service_version,
            "service.environment": self.environment,
            "service.node.name": self.instance_id,
            "host.name": self.host_name,
            "host.id": self.host_id,
            "process.pid": self.process_id,
            "log.level": event.level().lower(),
            "message": event.message(),
        }
        document.update((f"labels.{key}", value) for key, value in self.labels)
        document.update(to_fields(event))
        return document


def new_event_id(at: float) -> str:
    """A UUID version 7 (RFC 9562): 48 bits of Unix milliseconds, then version, variant and 74 random bits."""
    milliseconds = int(at * 1000) & 0xFFFF_FFFF_FFFF
    random_bits = int.from_bytes(os.urandom(10), "big")
    value = milliseconds << 80 | 0x7 << 76 | (random_bits >> 62 & 0xFFF) << 64
    return str(uuid.UUID(int=value | 0b10 << 62 | random_bits & 0x3FFF_FFFF_FFFF_FFFF))
