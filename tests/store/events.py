"""Documents for the tests of the reading half, as a process would write them."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

from llmops.events import AlertEvent, BenchmarkEvent, Document, Event, Origin, RequestEvent, SampleEvent
from llmops.events.documents import Outcome

ORIGIN = Origin(
    service_name="serve", service_version="0", instance_id="a1", host_name="box", host_id="h1", process_id=1
)
_numbers = itertools.count(1)


def document(event: Event) -> Document:
    """The event as a line of a journal would be read."""
    read: Document = json.loads(json.dumps(ORIGIN.document(event)))
    return read


def request(
    at: float, *, duration_s: float = 0.5, outcome: Outcome = "success", request_id: str | None = None, **fields: Any
) -> Document:
    """One request that ended at `at`."""
    return document(
        RequestEvent(
            at=at,
            request_id=request_id or f"r{next(_numbers)}",
            duration_s=duration_s,
            outcome=outcome,
            **fields,
        )
    )


def sample(at: float) -> Document:
    """One hardware sample."""
    return document(SampleEvent(at=at, device_id="GPU-0", device_name="card"))


def alert(at: float, **fields: Any) -> Document:
    """One transition."""
    values: dict[str, Any] = {"action": "firing", "rule_id": "vram", "rule_name": "memory"}
    return document(AlertEvent(at=at, **(values | fields)))


def benchmark(at: float, benchmark_id: str = "b1", **fields: Any) -> Document:
    """One run."""
    return document(BenchmarkEvent(at=at, benchmark_id=benchmark_id, **fields))


def probe(at: float, **fields: Any) -> Document:
    """One synthetic request of the canary, answered unless said otherwise."""
    values: dict[str, Any] = {"suite": "canary", "completed": 1, "failed": 0}
    return benchmark(at, **(values | fields))


def lines(documents: list[Document]) -> bytes:
    """The documents as a journal holds them."""
    return b"".join(json.dumps(each).encode() + b"\n" for each in documents)


def write(path: Path, documents: list[Document]) -> None:
    """A journal file of these documents."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(lines(documents))
