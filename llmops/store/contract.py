"""The contract of every store: documents go in once, questions about a span of time come out.

Implementations: `sqlite` (on disk, rebuilt from the journal when deleted) and `memory`. Times are Unix seconds,
spans are half open: `since <= @timestamp < until`. A request counts at the moment it ended.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any, Protocol

from llmops.events import Document


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class RequestRow:
    """What a list of requests shows of one; durations in seconds."""

    at: float
    event_id: str
    request_id: str
    user: str | None
    model: str | None
    status_code: int
    outcome: str
    error_type: str | None
    finish_reason: str | None
    duration_s: float
    ttft_s: float | None
    tpot_s: float | None
    queue_s: float | None
    input_tokens: int | None
    output_tokens: int | None
    eligible: bool
    synthetic: bool


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """Eligible requests of a span: how many, how many failed, how many took longer than the threshold."""

    total: int
    failed: int
    slow: int


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Percentiles:
    """Exact percentiles (nearest rank) over `count` values, in seconds; None when there are none."""

    count: int
    p50: float | None
    p95: float | None
    p99: float | None


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Bucket:
    """One step of a time series of requests."""

    start: float
    requests: int
    failed: int
    output_tokens: int
    max_duration_s: float | None


@dataclasses.dataclass(frozen=True, slots=True)
class Checkpoint:
    """How far one journal file was read. A file is known by the id of its first event, whatever its name."""

    first_event_id: str
    offset: int


class Store(Protocol):
    """One writer (`watch`), many readers. Recording the same `event.id` again changes nothing.

    Any thread may ask. What is no event (no `event.id`, no `@timestamp`) is not recorded; a field of the wrong type
    counts as absent and stays as it was in the document.
    """

    def record(self, documents: Sequence[Document], checkpoints: Sequence[Checkpoint] = ()) -> int:
        """Take documents and how far the journal was read, all or nothing. Returns how many were new."""

    def checkpoint(self, first_event_id: str) -> int:
        """Bytes of that journal file already recorded; 0 for a file never seen."""

    def counts(self, since: float, until: float, *, slow_s: float) -> Counts:
        """Eligible requests that ended in the span."""

    def outcomes(self, since: float, until: float, *, synthetic: bool = False) -> dict[str, int]:
        """Requests by what became of them: `success`, `unknown`, or the error's slug. `synthetic` adds those too."""

    def durations(self, since: float, until: float) -> Percentiles:
        """Whole-request durations of successful requests that are not synthetic."""

    def first_token_times(self, since: float, until: float) -> Percentiles:
        """Time to first token of the same requests."""

    def requests(self, *, limit: int, before: float | None = None, synthetic: bool = True) -> list[RequestRow]:
        """The latest requests, newest first; `before` a moment, to turn the page. `synthetic` off leaves those out."""

    def request(self, request_id: str) -> list[Document]:
        """Every request document with this id (`http.request.id` or a unique prefix of `event.id`), newest first."""

    def worst(
        self, since: float, until: float, *, slow_s: float, limit: int = 3, failures_first: bool = True
    ) -> list[str]:
        """Request ids of eligible requests of the span, an alert's exemplars: the newest failures, then the slowest
        over the threshold. With `failures_first` off, the slowest only, whatever became of them."""

    def series(self, since: float, until: float, step_s: float) -> list[Bucket]:
        """Requests that are not synthetic, and their tokens, in steps, empty ones included, oldest first."""

    def samples(self, since: float, until: float) -> list[Document]:
        """Hardware samples of the span, oldest first."""

    def alerts(self, *, limit: int = 100) -> list[Document]:
        """Alert transitions, newest first."""

    def benchmarks(self, *, limit: int = 20) -> list[Document]:
        """Benchmark runs, newest first."""

    def totals(self) -> dict[str, int]:
        """How many documents of each `event.dataset` are held."""

    def load_state(self, key: str) -> Any:
        """A small JSON value kept for a program (the alert lifecycle), or None."""

    def save_state(self, key: str, value: Any) -> None:
        """Keep it, durably."""

    def close(self) -> None:
        """Release files."""
