"""The fields of the proxy's access log beside the header: what it saw of requests that the runtime never did."""

from __future__ import annotations

from collections.abc import Mapping

from llmops.events.names import FieldType

ACCESS_FIELDS: Mapping[str, FieldType] = {
    "http.request.id": "keyword",
    "http.request.method": "keyword",
    "http.request.bytes": "long",
    "http.response.status_code": "long",
    "http.response.bytes": "long",
    "http.response.body.bytes": "long",
    "http.version": "keyword",
    "url.path": "keyword",
    "url.query": "keyword",
    "url.domain": "keyword",
    "client.ip": "ip",
    "user_agent.original": "keyword",
    "event.duration": "long",
    "event.outcome": "keyword",
    "tls.version": "keyword",
    "tls.cipher": "keyword",
    # nginx writes a list, or `-`, where a request had several upstreams or none: no numbers
    "nginx.upstream.address": "keyword",
    "nginx.upstream.status": "keyword",
    "nginx.upstream.response_time": "keyword",
    "nginx.upstream.connect_time": "keyword",
    "nginx.upstream.header_time": "keyword",
}
