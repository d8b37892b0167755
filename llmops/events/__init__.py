"""The vocabulary: what can happen, under which names it is written down, and how it leaves its process."""

from llmops.events.bus import Bus, Emit, Record, Sink
from llmops.events.documents import AlertEvent, BenchmarkEvent, Event, RequestEvent, SampleEvent
from llmops.events.names import SCHEMA_VERSION, Document
from llmops.events.origin import Origin

__all__ = [
    "SCHEMA_VERSION",
    "AlertEvent",
    "BenchmarkEvent",
    "Bus",
    "Document",
    "Emit",
    "Event",
    "Origin",
    "Record",
    "RequestEvent",
    "SampleEvent",
    "Sink",
]
