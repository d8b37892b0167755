"""One bulk request: each line created once, each answer read, and the server asked what it has when in doubt."""

from __future__ import annotations

import collections
import enum
import json
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from elastic_transport import TransportError
from elasticsearch import ApiError, Elasticsearch, NotFoundError

from llmops.elastic.client import (
    is_elasticsearch,
    is_passing,
    plain_words,
    problem_of,
    reason_of,
    type_of,
)
from llmops.elastic.errors import ElasticProblem
from llmops.elastic.journal import Line

_FILTER = "errors,items.*.status,items.*.error.type,items.*.error.reason,items.*.error.caused_by,items.*.failure_store"
_TOO_MUCH = frozenset({400, 413})
"""Of a whole request: something in it is wrong, so halves are tried until it stands alone."""
_NOT_THE_DOCUMENT = frozenset({401, 403, 404})
_FAULTS = frozenset(
    {
        "document_parsing_exception",
        "mapper_parsing_exception",
        "strict_dynamic_mapping_exception",
        "illegal_argument_exception",
        "action_request_validation_exception",
    }
)
"""What a 400 says of a document. Any other is the server's own trouble (no room for a shard) and is waited for."""
_OLD_MEDIA_TYPE = "media_type_header_exception"
_MOST_HITS = 10_000


class Outcome(enum.Enum):
    """What became of a line: created, there already, refused for good, or to be sent again."""

    CREATED = "created"
    KNOWN = "known"
    REFUSED = "refused"
    LATER = "later"


class Answer(NamedTuple):
    """The outcome of one line and, when it was not taken, the server's reason."""

    outcome: Outcome
    reason: str = ""


def send(client: Elasticsearch, lines: Sequence[Line]) -> list[Answer]:
    """Create each line in its stream under its event's id; one answer a line, in their order.

    Raises ElasticProblem. When that is passing, nobody knows which of them arrived: ask `known`.
    """
    operations: list[Any] = []
    for line in lines:
        operations += (_action(line.stream, line.event_id), line.raw)
    try:
        body = client.bulk(operations=operations, filter_path=_FILTER).body
    except ApiError as error:
        if error.meta.status not in _TOO_MUCH or _OLD_MEDIA_TYPE in str(error.body):
            raise problem_of(error, client) from error
        if len(lines) == 1:
            if error.meta.status == 400 and type_of(error.body) not in _FAULTS:
                raise problem_of(error, client) from error
            return [Answer(Outcome.REFUSED, reason_of(error))]
        middle = len(lines) // 2
        return send(client, lines[:middle]) + send(client, lines[middle:])
    except TransportError as error:
        raise problem_of(error, client) from error
    items = body.get("items", [])
    if len(items) != len(lines):
        raise ElasticProblem("elastic_transport", "The answer to a bulk request is incomplete.", passing=True)
    return [_answer(item) for item in items]


def known(client: Elasticsearch, lines: Iterable[Line]) -> set[str]:
    """Ids of those lines that their streams have already, in whatever backing index. Raises ElasticProblem.

    After a rollover a stream takes the same `_id` again: a conflict alone tells nothing about the indices before it.
    """
    found: set[str] = set()
    for stream, ids in _by_stream(lines):
        with plain_words(client):
            try:
                client.indices.refresh(index=stream)
                answer = client.search(
                    index=stream,
                    query={"terms": {"event.id": ids}},
                    size=_MOST_HITS,
                    source=False,
                    docvalue_fields=[{"field": "event.id"}],
                    allow_partial_search_results=False,
                    filter_path="hits.hits.fields",
                )
            except NotFoundError as error:
                if not is_elasticsearch(error):
                    raise  # a proxy that has lost the server knows nothing of the stream
                continue  # no document has made the stream yet
        hits = answer.body.get("hits", {}).get("hits", [])
        found.update(hit["fields"]["event.id"][0] for hit in hits)
    return found


def _by_stream(lines: Iterable[Line]) -> Iterator[tuple[str, list[str]]]:
    ids: dict[str, list[str]] = collections.defaultdict(list)
    for line in lines:
        ids[line.stream].append(line.event_id)
    yield from ids.items()


def _action(stream: str, event_id: str) -> bytes:
    return json.dumps({"create": {"_index": stream, "_id": event_id}}, separators=(",", ":")).encode("ascii")


def _answer(item: dict[str, Any]) -> Answer:
    result = next(iter(item.values()))
    status = result["status"]
    if result.get("failure_store") in ("used", "failed"):  # 201, and yet not where it should be
        return Answer(Outcome.REFUSED, "it went to the stream's failure store: a field is of the wrong type")
    if 200 <= status < 300:
        return Answer(Outcome.CREATED)
    if status == 409:
        return Answer(Outcome.KNOWN)
    error = result.get("error", {})
    reason = _reason(error)
    kind = str(error.get("type") or "")
    if is_passing(status, kind, reason) or (status == 400 and kind not in _FAULTS):
        return Answer(Outcome.LATER, f"{status}: {reason}")
    if status in _NOT_THE_DOCUMENT:
        sentence = f"The server does not take documents here ({status}: {reason}): has `llmops elk setup` been run?"
        raise ElasticProblem("elastic_forbidden", sentence)
    return Answer(Outcome.REFUSED, f"{status}: {reason}")


def _reason(error: dict[str, Any]) -> str:
    told = str(error.get("reason") or error.get("type") or "no reason given")
    cause = error.get("caused_by", {}).get("reason")
    return " ".join(f"{told}: {cause}".split() if cause else told.split())[:500].rstrip(".;")
