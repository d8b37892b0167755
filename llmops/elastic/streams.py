"""The data streams: which there are, what each is called, and the type of every field in it."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from llmops.elastic.access import ACCESS_FIELDS
from llmops.events import AlertEvent, BenchmarkEvent, Event, RequestEvent, SampleEvent
from llmops.events.names import FieldType, fields_of
from llmops.events.origin import HEADER_FIELDS


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Stream:
    """One kind of document; `fields` maps dotted names to Elasticsearch types. Kept for `keep_days`."""

    type: str
    dataset: str
    fields: Mapping[str, FieldType]
    keep_days: int

    @property
    def template(self) -> str:
        """Name of its index template: `llmops.request`."""
        return self.dataset

    @property
    def pattern(self) -> str:
        """The streams of this kind in all namespaces."""
        return f"{self.type}-{self.dataset}-*"

    def name(self, namespace: str) -> str:
        """The data stream: `logs-llmops.request-default`."""
        return f"{self.type}-{self.dataset}-{namespace}"


def _of(event_type: type[Event], keep_days: int) -> Stream:
    return Stream(
        type=event_type.stream_type,
        dataset=event_type.dataset,
        fields={**HEADER_FIELDS, **dict(fields_of(event_type).values())},
        keep_days=keep_days,
    )


REQUESTS = _of(RequestEvent, keep_days=30)
SAMPLES = _of(SampleEvent, keep_days=7)
ALERTS = _of(AlertEvent, keep_days=365)
BENCHMARKS = _of(BenchmarkEvent, keep_days=365)
ACCESS = Stream(type="logs", dataset="llmops.access", fields={**HEADER_FIELDS, **ACCESS_FIELDS}, keep_days=30)

EVENT_STREAMS = (REQUESTS, SAMPLES, ALERTS, BENCHMARKS)
"""What the journal holds."""
STREAMS = (*EVENT_STREAMS, ACCESS)
"""And the proxy's access log, which has no journal."""


def stream_of(dataset: object) -> Stream | None:
    """The stream that documents of this `event.dataset` go to; None for one that is not ours."""
    return next((stream for stream in EVENT_STREAMS if stream.dataset == dataset), None)
