"""From a document to the columns that questions need; a value of the wrong type becomes none, never an error."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from llmops.events import BenchmarkEvent, Document, RequestEvent, SampleEvent
from llmops.events.names import name_of, seconds_of
from llmops.store.contract import Ended, Kept, Measure, Peak, RequestRow

REQUEST = RequestEvent.dataset
CANARY = "canary"
"""The suite of benchmarks that are probes, of one request each."""
_MOST = 1 << 40
"""No count of a request reaches it, and four million of them still add up within 64 bits."""


class Columns(NamedTuple):
    """One stored event. Only requests fill the columns between `dataset` and `body`; probes fill `outcome`, `synthetic`
    and `failed`."""

    event_id: str
    at: float
    dataset: str
    request_id: str | None = None
    user: str | None = None
    model: str | None = None
    status_code: int | None = None
    outcome: str | None = None
    error_type: str | None = None
    finish_reason: str | None = None
    duration_s: float | None = None
    ttft_s: float | None = None
    tpot_s: float | None = None
    queue_s: float | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    eligible: int = 0
    synthetic: int = 0
    failed: int = 0
    body: str = "{}"
    version: str | None = None
    over_limit: int | None = None
    """It took longer than its length may take; None where it has no limit."""


ROW_COLUMNS = (
    "at, event_id, request_id, user, model, status_code, outcome, error_type, finish_reason, duration_s, ttft_s, "
    "tpot_s, queue_s, input_tokens, output_tokens, eligible, synthetic, version"
)
"""What `request_row` takes, in its order."""

BENCHMARKS = f"dataset = '{BenchmarkEvent.dataset}' AND json_valid(body)"
"""Which rows are benchmarks, in the words of the index over their suites."""
SUITE = f"""json_extract(body, '$."{name_of(BenchmarkEvent, "suite")}"')"""

MEASURES: Mapping[Measure, str] = {"duration": "duration_s", "ttft": "ttft_s", "tpot": "tpot_s", "queue": "queue_s"}
"""The column of each measure."""
_PEAKS = (name_of(RequestEvent, "predicted_peak_bytes"), name_of(RequestEvent, "peak_allocated_bytes"))
_KEPT: Mapping[str, Kept] = {REQUEST: "requests", SampleEvent.dataset: "samples"}

_NAMES: Mapping[str, str] = {
    attribute: name_of(RequestEvent, attribute)
    for attribute in [
        "request_id",
        "user_id",
        "user_hash",
        "response_model",
        "request_model",
        "model_version",
        "status_code",
        "outcome",
        "error_type",
        "finish_reasons",
        "duration_s",
        "ttft_s",
        "tpot_s",
        "queue_s",
        "input_tokens",
        "output_tokens",
        "slo_eligible",
        "synthetic",
        "over_limit",
    ]
}


_SUITE, _COMPLETED, _FAILED = (name_of(BenchmarkEvent, attribute) for attribute in ("suite", "completed", "failed"))


def kept_as(dataset: str) -> Kept:
    """Whose age decides when a row of this dataset goes; what is unknown goes with the alerts."""
    return _KEPT.get(dataset, "alerts")


class Written(dict[str, Any]):
    """A document as a line of a journal has it: what is known of the line is not worked out twice."""

    __slots__ = ("at", "event_id", "text")

    event_id: str
    at: float
    text: str


def written(text: str) -> Written | None:
    """The document of a journal's line; None for what is no event. Raises ValueError or RecursionError for no JSON."""
    document = json.loads(text)
    known = identity(document)
    if known is None:
        return None
    made = Written(document)
    made.event_id, made.at = known
    made.text = text
    return made


def identity(document: Any) -> tuple[str, float] | None:
    """`event.id` and `@timestamp` in Unix seconds; None for what is no event."""
    if not isinstance(document, dict):
        return None
    event_id, at = document.get("event.id"), document.get("@timestamp")
    if not isinstance(event_id, str) or not event_id or not isinstance(at, str):
        return None
    try:
        return _clean(event_id), seconds_of(at)
    except (ValueError, OverflowError):
        return None


def columns_of(document: Document) -> Columns | None:
    """The columns of a document; None for what is no event."""
    known = (document.event_id, document.at) if isinstance(document, Written) else identity(document)
    if known is None:
        return None
    dataset = _text(document.get("event.dataset")) or "unknown"
    body = document.text if isinstance(document, Written) else json.dumps(document, separators=(",", ":"))
    if dataset == BenchmarkEvent.dataset and document.get(_SUITE) == CANARY:
        return _probe(Columns(*known, dataset, body=body), document)
    if dataset != REQUEST:
        return Columns(*known, dataset, body=body)
    get = document.get
    outcome = _text(get(_NAMES["outcome"])) or "unknown"
    synthetic = get(_NAMES["synthetic"]) is True
    eligible = get(_NAMES["slo_eligible"]) is not False and not synthetic
    return Columns(
        *known,
        dataset,
        _text(get(_NAMES["request_id"])) or known[0],
        _text(get(_NAMES["user_id"])) or _text(get(_NAMES["user_hash"])),
        _text(get(_NAMES["response_model"])) or _text(get(_NAMES["request_model"])),
        _whole(get(_NAMES["status_code"])),
        outcome,
        _text(get(_NAMES["error_type"])),
        _first(get(_NAMES["finish_reasons"])),
        _real(get(_NAMES["duration_s"])),
        _real(get(_NAMES["ttft_s"])),
        _real(get(_NAMES["tpot_s"])),
        _real(get(_NAMES["queue_s"])),
        _whole(get(_NAMES["input_tokens"])),
        _whole(get(_NAMES["output_tokens"])),
        int(eligible),
        int(synthetic),
        int(outcome == "failure"),
        body,
        _text(get(_NAMES["model_version"])),
        _truth(get(_NAMES["over_limit"])),
    )


def _probe(columns: Columns, document: Document) -> Columns:
    """Good is what says so: it was completed, and nothing failed."""
    is_good = (_whole(document.get(_COMPLETED)) or 0) > 0 and not _whole(document.get(_FAILED))
    return columns._replace(outcome="success" if is_good else "failure", synthetic=1, failed=int(not is_good))


def request_row(values: tuple[Any, ...]) -> RequestRow:
    """A row of `ROW_COLUMNS` as the contract shows it."""
    (at, event_id, request_id, user, model, status_code, outcome, error_type, finish_reason, duration_s) = values[:10]
    ttft_s, tpot_s, queue_s, input_tokens, output_tokens, eligible, synthetic, version = values[10:]
    return RequestRow(
        at=at,
        event_id=event_id,
        request_id=request_id,
        user=user,
        model=model,
        status_code=status_code or 0,
        outcome=outcome,
        error_type=error_type,
        finish_reason=finish_reason,
        duration_s=duration_s or 0.0,
        ttft_s=ttft_s,
        tpot_s=tpot_s,
        queue_s=queue_s,
        input_tokens=input_tokens,
        output_tokens=output_tokens,
        eligible=bool(eligible),
        synthetic=bool(synthetic),
        version=version,
    )


_ROW = [Columns._fields.index(name) for name in ROW_COLUMNS.split(", ")]


def peaks_of(documents: Iterable[Document]) -> list[Peak]:
    """Of the requests that tell both."""
    return [peak for each in documents if (peak := _peak(each)) is not None]


def _peak(document: Document) -> Peak | None:
    predicted, measured = (_whole(document.get(name)) for name in _PEAKS)
    if predicted is None or measured is None:
        return None
    return Peak(seconds_of(document["@timestamp"]), _text(document.get("service.node.name")), predicted, measured)


def shown(columns: Columns) -> RequestRow:
    """What a list of requests shows of these columns."""
    return request_row(tuple(columns[index] for index in _ROW))


def ended_of(columns: Columns) -> Ended:
    """What objectives count of an eligible request."""
    over = None if columns.over_limit is None else columns.over_limit == 1
    return Ended(columns.at, columns.duration_s or 0.0, columns.ttft_s, columns.failed == 1, over)


def _clean(text: str) -> str:
    """Lone surrogates are legal JSON and illegal UTF-8: they become question marks."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode("utf-8")


def _text(value: Any) -> str | None:
    return _clean(value) if isinstance(value, str) else None


def _first(value: Any) -> str | None:
    return _text(value[0]) if isinstance(value, list) and value else _text(value)


def _truth(value: Any) -> int | None:
    return int(value) if isinstance(value, bool) else None


def _real(value: Any) -> float | None:
    if type(value) is not float:
        if type(value) is not int:
            return None
        try:
            value = float(value)
        except OverflowError:
            return None
    return value if math.isfinite(value) else None


def _whole(value: Any) -> int | None:
    if type(value) is float and math.isfinite(value):
        value = int(value)
    return value if type(value) is int and 0 <= value < _MOST else None
