"""The record as an explanation wants it: users' requests of a span, and each card's means."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from llmops.events import RequestEvent
from llmops.events.names import name_of
from llmops.explain.contract import Asked, CardUse, Record
from llmops.store.sql import run_query

MOST = 20_000
_PATIENCE_S = 20.0
_TEXTS = ("outcome", "error_type", "finish_reason", "quantization", "instance")
_COLUMNS = (
    *("at", "request_id", "outcome", "error_type", "finish_reason", "duration_s", "ttft_s", "queue_s", "tpot_s"),
    *("input_tokens", "output_tokens"),
)
_FIELDS = (
    *(
        "engine_queue_s",
        "prefill_s",
        "decode_s",
        "cached_tokens",
        "max_tokens",
        "batch_size",
        "quantization",
        "temperature",
        "top_p",
    ),
    *("repetition_ratio", "loop_detected", "predicted_peak_bytes", "peak_allocated_bytes"),
)
_INSTANCE = "service.node.name"
_CARD = """
SELECT device_id, max(device_name) AS name, count(*) AS samples, avg(utilization) AS "use",
  avg(memory_utilization) AS memory, max(memory_utilization) AS peak_memory,
  max(memory_limit_bytes) AS memory_limit_bytes,
  avg(throttle_reasons IS NOT NULL AND throttle_reasons != '[]') AS throttled,
  min(nvlink_active_links) AS active_links, avg(torch_reserved_bytes) AS torch_reserved_bytes,
  avg(torch_allocated_bytes) AS torch_allocated_bytes, avg(memory_used_bytes) AS memory_used_bytes
FROM samples WHERE device_type = 'gpu' AND device_id IS NOT NULL AND at >= {since!r} AND at < {until!r}
GROUP BY device_id ORDER BY device_id
"""


def read(path: Path, since: float, until: float, **dials: Any) -> Record:
    """Synthetic requests are left out. dials: of `Record`. Raises BadQuery and StoreUnreadable."""
    requests, is_cut = _requests(path, since, until)
    return Record(requests=requests, cards=_cards(path, since, until), is_cut=is_cut, **dials)


def _requests(path: Path, since: float, until: float) -> tuple[tuple[Asked, ...], bool]:
    names = {each: name_of(RequestEvent, each) for each in _FIELDS} | {"instance": _INSTANCE}
    extracted = ", ".join(f"json_extract(body, '$.\"{field}\"')" for field in names.values())
    found = run_query(
        path,
        f"SELECT {', '.join(_COLUMNS)}, {extracted} FROM requests "  # noqa: S608
        f"WHERE at >= {since!r} AND at < {until!r} AND NOT synthetic AND json_valid(body) ORDER BY at DESC",
        limit=MOST,
        limit_s=_PATIENCE_S,
    )
    columns = (*_COLUMNS, *names)
    return tuple(_asked(dict(zip(columns, row, strict=True))) for row in found.rows), found.more


def _asked(row: dict[str, Any]) -> Asked:
    """A field of the wrong type counts as absent."""
    numbers: dict[str, Any] = {
        name: value if isinstance(value, int | float) else None
        for name, value in row.items()
        if name not in (*_TEXTS, "request_id", "at", "loop_detected", "duration_s")
    }
    texts: dict[str, Any] = {name: row[name] if isinstance(row[name], str) else None for name in _TEXTS}
    texts["outcome"] = texts["outcome"] or ""
    return Asked(
        at=row["at"],
        request_id=str(row["request_id"]),
        duration_s=float(row["duration_s"] or 0.0),
        loop_detected=row["loop_detected"] == 1,
        **numbers,
        **texts,
    )


def _cards(path: Path, since: float, until: float) -> tuple[CardUse, ...]:
    found = run_query(path, _CARD.format(since=since, until=until), limit=1000, limit_s=_PATIENCE_S)
    return tuple(CardUse(**dict(zip(found.columns, row, strict=True))) for row in found.rows)
