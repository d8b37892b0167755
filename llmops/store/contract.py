"""The contract of every store: documents go in once, questions about a span of time come out.

Three protocols, each more than the one before: `Questions` is what anybody may ask, `Record` takes documents too,
`Store` also keeps what `watch` must know of itself. `sqlite` (on disk, rebuilt from the journal when deleted) and
`memory` are stores; Elasticsearch is a record. Times are Unix seconds, spans are half open: `since <= @timestamp <
until`. A request counts at the moment it ended.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple, Protocol, TypeAlias

from llmops.events import Document
from llmops.store.conditions import Condition

Measure: TypeAlias = Literal["duration", "ttft", "tpot", "queue"]
"""Whole request, time to first token, time per output token, wait in the queue; in seconds."""
How: TypeAlias = Literal["exact", "sketch"]
"""`exact`: the nearest rank of every value. `sketch`: from histograms, at most 1 % from the nearest rank."""
Late: TypeAlias = Literal["duration", "ttft", "limit"]
"""What a request can be late with: its end, its first token, or its end by the limit that serve recorded for it."""
Dimension: TypeAlias = Literal["user", "model", "version"]
Blamed: TypeAlias = Literal["user", "model", "version", "error", "hour"]
"""Of a bad request: whose it was, what answered, its error's slug (None where it did not fail), the hour of its end in
UTC, "00" to "23"."""
Kept: TypeAlias = Literal["requests", "samples", "alerts", "minutes", "hours"]
"""What has an age of its own: rows of requests; of samples; of alerts and benchmarks; rollups of minutes; of hours."""


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
    version: str | None = None

    @property
    def started_at(self) -> float:
        """When it arrived."""
        return self.at - self.duration_s


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """Eligible requests of a span: how many, how many failed, how many took longer than the threshold.

    `is_exact` is false when a part of `slow` had to be read from histograms, because rows are gone or many, and nobody
    counted with this threshold: requests within 1 % of it may count on either side.
    """

    total: int
    failed: int
    slow: int
    is_exact: bool = True


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """How many of a span can be judged, and how many of them are bad; `is_exact` as in `Counts`."""

    total: int
    bad: int
    is_exact: bool = True


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Percentiles:
    """Percentiles (nearest rank) over `count` values, in seconds; None when there are none. `how` good they are."""

    count: int
    p50: float | None
    p95: float | None
    p99: float | None
    how: How = "exact"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Bucket:
    """One step of a time series of requests."""

    start: float
    requests: int
    failed: int
    output_tokens: int
    max_duration_s: float | None


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """What one user, model or version had, of requests that are not synthetic. `key` is None where none was given."""

    key: str | None
    requests: int
    failed: int
    input_tokens: int
    output_tokens: int


class Over(NamedTuple):
    """More than so many seconds to the end, or to the first token."""

    what: Late
    than_s: float


class Ended(NamedTuple):
    """An eligible request, as objectives count it."""

    at: float
    duration_s: float
    ttft_s: float | None
    failed: bool
    over_limit: bool | None = None  # None where it has no limit of its own


class Peak(NamedTuple):
    """Memory of the card at most while a request ran: by arithmetic, and as torch's allocator had it. `instance`: of
    the serve that answered."""

    at: float
    instance: str | None
    predicted_bytes: int
    measured_bytes: int

    @property
    def residual_bytes(self) -> int:
        """What arithmetic does not account for; below 0: it took less."""
        return self.measured_bytes - self.predicted_bytes


class Probed(NamedTuple):
    """One probe of the canary."""

    at: float
    failed: bool


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Blame:
    """How many bad requests one user, model, version, error or hour had. `key` is None where none was given."""

    key: str | None
    bad: int


@dataclasses.dataclass(frozen=True, slots=True)
class Checkpoint:
    """How far one journal file was read. A file is known by the id of its first event, whatever its name."""

    first_event_id: str
    offset: int


class Questions(Protocol):
    """What may be asked, by any thread. An answer of an old span may come from rollups: then its ends are rounded
    outwards to whole hours where the rows are gone."""

    def counts(self, since: float, until: float, *, slow_s: float) -> Counts:
        """Eligible requests that ended in the span."""

    def first_tokens(self, since: float, until: float, *, late_s: float) -> Judged:
        """Eligible requests that had a first token or failed before it. Bad: it came later than `late_s`, or never."""

    def limited(self, since: float, until: float) -> Judged:
        """Eligible requests that have a limit of their own, which serve recorded for their length. Bad: over it."""

    def probes(self, since: float, until: float) -> Judged:
        """Synthetic requests of the canary (benchmarks of the suite `canary`). Good: completed, and nothing failed."""

    def outcomes(self, since: float, until: float, *, synthetic: bool = False) -> dict[str, int]:
        """Requests by what became of them: `success`, `unknown`, or the error's slug. `synthetic` adds those too."""

    def percentiles(self, measure: Measure, since: float, until: float, *, how: How | None = None) -> Percentiles:
        """Of successful requests that are not synthetic and have the measure. `how` None: exact where that is quick.

        A store that can't give what was asked gives the other; the answer says which it is.
        """

    def requests(
        self, *, limit: int, before: float | None = None, synthetic: bool = True, where: Condition | None = None
    ) -> list[RequestRow]:
        """The latest requests, newest first; `before` a moment, to turn the page. `synthetic` off leaves those out."""

    def request(self, request_id: str) -> list[Document]:
        """Every request document with this `http.request.id`, newest first; when there is none, the only one whose
        `http.request.id` or `event.id` begins so."""

    def alive(self, since: float, until: float) -> list[RequestRow]:
        """Requests that ran at any moment of the span, in order of their end; one that ran for over an hour may be
        missing."""

    def worst(
        self,
        since: float,
        until: float,
        *,
        slow_s: float,
        limit: int = 3,
        failures_first: bool = True,
        by: Late = "duration",
    ) -> list[str]:
        """Request ids of eligible requests of the span, an alert's exemplars: the newest failures, then the slowest
        over the threshold. With `failures_first` off, the slowest only, whatever became of them. `by` ttft: those with
        the latest first tokens; `by` limit: the slowest of those over their own limit."""

    def series(self, since: float, until: float, step_s: float) -> list[Bucket]:
        """Requests that are not synthetic, and their tokens, in steps, empty ones included, oldest first."""

    def usage(self, since: float, until: float, *, by: Dimension, limit: int = 100) -> list[Usage]:
        """Who had how much: most requests first, of equal ones in order of their keys, None last."""

    def oldest(self) -> float | None:
        """When the oldest request ended that is held one by one. Of earlier ones there are sums, or nothing."""

    def ended(self, since: float, until: float) -> list[Ended]:
        """Eligible requests of the span that are held one by one, oldest first."""

    def probed(self, since: float, until: float) -> list[Probed]:
        """Probes of the span, oldest first."""

    def blame(
        self, since: float, until: float, *, by: Blamed, over: Over | None = None, limit: int = 100
    ) -> list[Blame]:
        """Whose were the bad ones among the eligible requests of the span that are held one by one: those that failed,
        or those `over` a limit: the slow ones of `counts`, the bad ones of `first_tokens`. Most first, as `usage`."""

    def peaks(self, *, among: int) -> list[Peak]:
        """Of the newest `among` requests those that tell both, newest first."""

    def samples(self, since: float, until: float) -> list[Document]:
        """Hardware samples of the span, oldest first."""

    def alerts(self, *, limit: int = 100) -> list[Document]:
        """Alert transitions, newest first."""

    def benchmarks(self, *, limit: int = 20, suite: str | None = "self") -> list[Document]:
        """Runs of this suite of benchmarks, newest first: `self`, `canary`, or None for all."""

    def totals(self) -> dict[str, int]:
        """How many documents of each `event.dataset` are held."""

    def close(self) -> None:
        """Release files and connections."""


class Record(Questions, Protocol):
    """Takes documents. Recording the same `event.id` again changes nothing.

    What is no event (no `event.id`, no `@timestamp`) is not recorded.
    """

    def record(self, documents: Sequence[Document]) -> int:
        """Take documents; how many were new. They are in the answer to the next question."""


class Store(Record, Protocol):
    """One writer (`watch`), many readers. A field of the wrong type counts as absent and stays in the document.

    An event older than what was pruned is not recorded: it may have been counted before.
    """

    def record(self, documents: Sequence[Document], checkpoints: Sequence[Checkpoint] = ()) -> int:
        """Take documents and how far the journal was read, all or nothing. Returns how many were new."""

    def generation(self) -> int:
        """Another number once what was recorded is gone and the store has begun anew, removed or damaged: who follows
        the journal reads it from its beginning, who kept states saves them again. Looks for itself."""

    def checkpoint(self, first_event_id: str) -> int:
        """Bytes of that journal file already recorded; 0 for a file never seen."""

    def prune(self, before: Mapping[Kept, float], *, limit: int = 2000) -> int:
        """Delete what ended before the hours of these moments, at most `limit` rows, oldest first; how many went.

        Call it again while it returns `limit`: each call blocks for a few milliseconds only.
        """

    def load_state(self, key: str) -> Any:
        """A small JSON value kept for a program (the alert lifecycle), or None."""

    def save_state(self, key: str, value: Any) -> None:
        """Keep it, durably."""
