"""Eligible requests one by one, and whose the bad ones were: questions that rows alone can answer."""

from __future__ import annotations

from collections.abc import Mapping

from llmops.store.answering import Ask
from llmops.store.answers import most_blamed
from llmops.store.columns import REQUEST, Columns
from llmops.store.contract import Blame, Blamed, Ended, Late, Over, Probed

OTHER = "_OTHER"
"""The slug of a failure that names none."""
_ELIGIBLE = "FROM event INDEXED BY eligible_time WHERE eligible = 1 AND at >= :since AND at < :until"
_ENDED = f"SELECT at, coalesce(duration_s, 0.0), ttft_s, failed, over_limit {_ELIGIBLE} ORDER BY at, seq"
_OLDEST = "SELECT min(at) FROM event INDEXED BY event_time WHERE dataset = :dataset"
_PROBED = """SELECT at, outcome <> 'success' FROM event INDEXED BY event_time
WHERE dataset = 'llmops.benchmark' AND at >= :since AND at < :until AND synthetic = 1 ORDER BY at, seq"""
_BAD: Mapping[Late | None, str] = {
    None: "failed = 1",
    "duration": "duration_s > :than_s",
    "ttft": "coalesce(ttft_s > :than_s, failed) = 1",
    "limit": "over_limit = 1",
}
"""The conditions of `queries.COUNTS` and `queries.FIRST_TOKENS`."""
_KEYS: Mapping[Blamed, str] = {
    "user": "nullif(user, '')",
    "model": "nullif(model, '')",
    "version": "nullif(version, '')",
    "error": f"CASE failed WHEN 1 THEN coalesce(nullif(error_type, ''), '{OTHER}') END",
    "hour": "printf('%02d', CAST(at AS INTEGER) / 3600 % 24)",
}


def key_of(row: Columns, by: Blamed) -> str | None:
    """The same in Python."""
    if by == "hour":
        return f"{int(row.at) // 3600 % 24:02d}"
    if by == "error":
        return (row.error_type or OTHER) if row.failed else None
    found: str | None = getattr(row, by)
    return found or None


def is_bad(row: Columns, over: Over | None) -> bool:
    """Of an eligible request, whether it is to blame."""
    if over is None:
        return row.failed == 1
    if over.what == "limit":
        return row.over_limit == 1
    if over.what == "duration":
        return (row.duration_s or 0.0) > over.than_s
    return row.failed == 1 if row.ttft_s is None else row.ttft_s > over.than_s


def oldest(ask: Ask) -> float | None:
    """See `Questions.oldest`."""
    ((found,),) = ask(_OLDEST, {"dataset": REQUEST})
    return None if found is None else float(found)


def ended(ask: Ask, since: float, until: float) -> list[Ended]:
    """See `Questions.ended`."""
    rows = ask(_ENDED, {"since": since, "until": until})
    return [
        Ended(at, duration_s, ttft_s, failed == 1, None if over is None else over == 1)
        for at, duration_s, ttft_s, failed, over in rows
    ]


def probed(ask: Ask, since: float, until: float) -> list[Probed]:
    """See `Questions.probed`."""
    return [Probed(at, failed == 1) for at, failed in ask(_PROBED, {"since": since, "until": until})]


def blame(ask: Ask, since: float, until: float, by: Blamed, over: Over | None, limit: int) -> list[Blame]:
    """See `Questions.blame`. The index finds the bad ones, so that only their rows are read."""
    bad = _BAD[over.what if over else None]
    question = f"SELECT {_KEYS[by]}, count(*) {_ELIGIBLE} AND {bad} GROUP BY 1"
    span = {"since": since, "until": until, "than_s": over.than_s if over else 0.0}
    return most_blamed(dict(ask(question, span)), limit)
