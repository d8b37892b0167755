"""Makes a server ready for our streams: templates, retention, a new index where the schema changed. Idempotent."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from elasticsearch import BadRequestError, Elasticsearch, NotFoundError

from llmops.elastic.client import is_elasticsearch, plain_words
from llmops.elastic.errors import ElasticProblem
from llmops.elastic.streams import STREAMS, Stream
from llmops.elastic.templates import meta_of, template_of


def prepare(client: Elasticsearch, keep_days: Mapping[str, int]) -> Iterator[str]:
    """Install what is missing or has changed; one sentence for each step. Raises ElasticProblem."""
    with plain_words(client):
        version = client.info().body["version"]["number"]
        yield f"Elasticsearch {version} answers."
        for stream in STREAMS:
            days = keep_days.get(stream.dataset, stream.keep_days)
            yield _install(client, stream, days)
            yield from _renew(client, stream, days)


def require_templates(client: Elasticsearch) -> None:
    """Raises ElasticProblem unless our templates are there as this version writes documents.

    Without them the built-in template of `logs-*-*` takes the documents, guesses types, and drops what does not fit.
    """
    with plain_words(client):
        for stream in STREAMS:
            there = _installed(client, stream)
            if there is None:
                sentence = f"The index template {stream.template} is not installed: run `llmops elk setup` first."
                raise ElasticProblem("elastic_not_set_up", sentence)
            if there.get("_meta") != meta_of(stream):
                sentence = f"The index template {stream.template} is of another version: run `llmops elk setup` again."
                raise ElasticProblem("elastic_not_set_up", sentence)


def _install(client: Elasticsearch, stream: Stream, days: int) -> str:
    wanted = template_of(stream, days)
    there = _installed(client, stream)
    if there is not None and _same(there, wanted):
        return f"Template {stream.template}: as it should be, kept {days} days."
    client.indices.put_index_template(
        name=stream.template,
        index_patterns=wanted["index_patterns"],
        priority=wanted["priority"],
        data_stream=wanted["data_stream"],
        meta=wanted["_meta"],
        template=wanted["template"],
    )
    return f"Template {stream.template}: {'installed' if there is None else 'brought up to date'}, kept {days} days."


def _installed(client: Elasticsearch, stream: Stream) -> dict[str, Any] | None:
    try:
        found = client.indices.get_index_template(name=stream.template).body["index_templates"]
    except NotFoundError as error:
        if not is_elasticsearch(error):
            raise
        return None
    template: dict[str, Any] = found[0]["index_template"]
    return template


def _same(there: dict[str, Any], wanted: dict[str, Any]) -> bool:
    """The fingerprint in `_meta` stands for settings and mapping."""
    retention = there.get("template", {}).get("lifecycle", {}).get("data_retention")
    return bool(
        there.get("_meta") == wanted["_meta"]
        and there.get("priority") == wanted["priority"]
        and there.get("index_patterns") == wanted["index_patterns"]
        and retention == wanted["template"]["lifecycle"]["data_retention"]
    )


def _renew(client: Elasticsearch, stream: Stream, days: int) -> Iterator[str]:
    """Streams that exist: a new index where the mapping is an older one, and the retention as it is now."""
    found = client.indices.resolve_index(name=stream.pattern, expand_wildcards=["open", "hidden"]).body["data_streams"]
    if not found:
        return
    hidden = ["open", "hidden"]
    mappings = client.indices.get_mapping(
        index=stream.pattern, expand_wildcards=hidden, filter_path="*.mappings._meta"
    ).body
    for each in found:
        name, backing = each["name"], each["backing_indices"]
        newest = backing if isinstance(backing, str) else max(backing, key=lambda index: str(index).rsplit("-", 1)[-1])
        meta = mappings.get(newest, {}).get("mappings", {}).get("_meta")
        if meta != meta_of(stream):
            client.indices.rollover(alias=name)
            yield f"Stream {name}: rolled over, its fields have changed."
    if refused := _keep(client, stream, days):
        yield refused


def _keep(client: Elasticsearch, stream: Stream, days: int) -> str | None:
    try:
        client.indices.put_data_lifecycle(name=stream.pattern, data_retention=f"{days}d")
    except BadRequestError as error:
        if "no handler found" not in str(error.body):
            raise
        return f"Streams {stream.pattern}: this server can't change how long those that exist are kept."
    return None
