"""Eligible requests one by one, and whose the bad ones were: questions that rows alone can answer."""

from __future__ import annotations

from collections.abc import Mapping

from llmops.store.answering import Ask
from llmops.store.answers import most_blamed
from llmops.store.columns import MEASURES, REQUEST, Columns
from llmops.store.contract import Blame, Blamed, Ended, Measure

OTHER = "_OTHER"
"""The slug of a failure that names none."""
_ELIGIBLE = "FROM event INDEXED BY eligible_time WHERE eligible = 1 AND at >= :since AND at < :until"
_ENDED = f"SELECT at, coalesce(duration_s, 0.0), ttft_s, failed {_ELIGIBLE} ORDER BY at, seq"
_OLDEST = "SELECT min(at) FROM event INDEXED BY event_time WHERE dataset = :dataset"
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


def oldest(ask: Ask) -> float | None:
    """See `Questions.oldest`."""
    ((found,),) = ask(_OLDEST, {"dataset": REQUEST})
    return None if found is None else float(found)


def ended(ask: Ask, since: float, until: float) -> list[Ended]:
    """See `Questions.ended`."""
    rows = ask(_ENDED, {"since": since, "until": until})
    return [Ended(at, duration_s, ttft_s, failed == 1) for at, duration_s, ttft_s, failed in rows]


def blame(
    ask: Ask, since: float, until: float, by: Blamed, over: Measure | None, than_s: float, limit: int
) -> list[Blame]:
    """See `Questions.blame`. The index finds the bad ones, so that only their rows are read."""
    bad = "failed = 1" if over is None else f"{MEASURES[over]} > :than_s"
    question = f"SELECT {_KEYS[by]}, count(*) {_ELIGIBLE} AND {bad} GROUP BY 1"
    return most_blamed(dict(ask(question, {"since": since, "until": until, "than_s": than_s})), limit)
