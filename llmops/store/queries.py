"""The questions, as SQL. Times are Unix seconds; `:since` belongs to the span, `:until` does not."""

from __future__ import annotations

from llmops.store.columns import BENCHMARKS, MEASURES, ROW_COLUMNS, SUITE
from llmops.store.contract import Late

_REQUESTS = "FROM event WHERE dataset = 'llmops.request'"
_SPAN = "at >= :since AND at < :until"

COUNTS = f"""
SELECT count(*), coalesce(sum(failed), 0), coalesce(sum(duration_s > :over_s), 0)
FROM event INDEXED BY eligible_time
WHERE eligible = 1 AND {_SPAN}"""  # noqa: S608
FIRST_TOKENS = f"""
SELECT coalesce(sum(ttft_s IS NOT NULL OR failed), 0), 0, coalesce(sum(coalesce(ttft_s > :over_s, failed)), 0)
FROM event INDEXED BY eligible_time
WHERE eligible = 1 AND {_SPAN}"""  # noqa: S608
LIMITED = f"""
SELECT count(over_limit), coalesce(sum(over_limit), 0)
FROM event INDEXED BY eligible_time
WHERE eligible = 1 AND {_SPAN}"""  # noqa: S608
PROBES = f"""
SELECT count(*), coalesce(sum(outcome <> 'success'), 0) FROM event INDEXED BY event_time
WHERE dataset = 'llmops.benchmark' AND {_SPAN} AND synthetic = 1"""  # noqa: S608

OUTCOMES = f"""
SELECT CASE outcome WHEN 'failure' THEN coalesce(error_type, '_OTHER') ELSE outcome END AS became, count(*)
FROM event INDEXED BY event_time
WHERE dataset = 'llmops.request' AND {_SPAN} AND synthetic <= :synthetic GROUP BY became"""  # noqa: S608

_SUCCESSFUL = f"""FROM event INDEXED BY event_time
WHERE dataset = 'llmops.request' AND {_SPAN} AND synthetic = 0 AND outcome = 'success'"""


def values_of(column: str) -> str:
    """The values of one measure."""
    return f"SELECT {column} {_SUCCESSFUL} AND {column} IS NOT NULL"


def latest(where: str) -> str:
    """The newest requests for which this holds."""
    return f"""
SELECT {ROW_COLUMNS} {_REQUESTS} AND at < :before AND synthetic <= :synthetic AND {where}
ORDER BY at DESC, seq DESC LIMIT :limit"""


def usage(column: str) -> str:
    """What each value of this column had."""
    return f"""
SELECT nullif({column}, ''), count(*), sum(failed), coalesce(sum(input_tokens), 0), coalesce(sum(output_tokens), 0)
{_REQUESTS} AND {_SPAN} AND synthetic = 0 GROUP BY 1"""


def sketches_of(column: str) -> str:
    """The histograms of one measure."""
    return f"SELECT {column} {_ROLLED} AND {column} IS NOT NULL"


def rolled_usage(column: str) -> str:
    """What each value of this column had, from the sums of hours."""
    return f"""
SELECT nullif({column}, ''), sum(requests), sum(failed), sum(input_tokens), sum(output_tokens) {_USED}
AND synthetic = 0 GROUP BY 1"""


_USED = "FROM usage WHERE start >= :since AND start < :until"
_ROLLED = "FROM rollup WHERE step_s = :rollup_s AND start >= :since AND start < :until"
ROLLED_COUNTS = f"""
SELECT coalesce(sum(eligible), 0), coalesce(sum(eligible_failed), 0), coalesce(sum(slow), 0),
  coalesce(sum(slow_s <> :over_s AND eligible > 0), 0) {_ROLLED}"""
JUDGED = f"SELECT slow, eligible, CASE WHEN slow_s <> :over_s THEN judged_s END {_ROLLED} AND eligible > 0"
ROLLED_FIRST_TOKENS = f"""
SELECT coalesce(sum(awaited), 0), 0, coalesce(sum(late), 0),
  coalesce(sum(late_s <> :over_s AND awaited > 0), 0) {_ROLLED}"""
JUDGED_FIRST_TOKENS = f"""
SELECT late, awaited, CASE WHEN late_s <> :over_s THEN judged_ttft_s END {_ROLLED} AND awaited > 0"""
ROLLED_LIMITED = f"SELECT coalesce(sum(limited), 0), coalesce(sum(over_limit), 0) {_ROLLED}"
ROLLED_OUTCOMES = f"SELECT became, sum(requests) {_USED} AND synthetic <= :synthetic GROUP BY became"
ROLLED_REQUESTS = f"SELECT coalesce(sum(requests), 0) {_ROLLED}"
ROLLED_SERIES = f"""
SELECT CAST((start - :origin) / :width_s AS INTEGER), sum(requests), sum(failed), sum(output_tokens), max(longest_s)
{_ROLLED} GROUP BY 1"""

ALIVE = f"""
SELECT {ROW_COLUMNS} {_REQUESTS} AND at >= :since AND at < :until + :longest_s
AND at - coalesce(duration_s, 0.0) < :until ORDER BY at, seq"""

BY_REQUEST_ID = "SELECT body FROM event INDEXED BY request_id WHERE request_id = :id ORDER BY at DESC, seq DESC"
BY_PREFIX = """
SELECT body FROM (
  SELECT seq, body FROM event INDEXED BY request_id WHERE request_id >= :id AND request_id < :end
  UNION SELECT seq, body FROM event WHERE event_id >= :id AND event_id < :end AND request_id IS NOT NULL
) LIMIT 2"""

_ELIGIBLE = f"""FROM event INDEXED BY eligible_time
WHERE eligible = 1 AND {_SPAN}"""
FAILED_IDS = f"""
SELECT request_id {_ELIGIBLE} AND failed = 1 ORDER BY at DESC, seq DESC LIMIT :limit"""


def slow_ids(by: Late) -> str:
    """The slowest by this measure, or the slowest of those over their own limit."""
    column = MEASURES["duration" if by == "limit" else by]
    condition = "over_limit = 1" if by == "limit" else f"{column} > :slow_s"
    return f"""
SELECT request_id {_ELIGIBLE} AND failed <= :failed AND {condition}
ORDER BY {column} DESC, at DESC, seq DESC LIMIT :limit"""


SERIES = f"""
SELECT CAST((at - :origin) / :width_s AS INTEGER) AS step, count(*), sum(outcome = 'failure'),
  coalesce(sum(output_tokens), 0), max(duration_s)
FROM event INDEXED BY event_time
WHERE dataset = 'llmops.request' AND {_SPAN} AND synthetic = 0 GROUP BY step"""  # noqa: S608

OF_SPAN = f"SELECT body FROM event WHERE dataset = :dataset AND {_SPAN} ORDER BY at, seq"  # noqa: S608
LATEST_OF = "SELECT body FROM event WHERE dataset = :dataset ORDER BY at DESC, seq DESC LIMIT :limit"
LATEST_OF_SUITE = f"""
SELECT body FROM event INDEXED BY benchmark_suite WHERE {BENCHMARKS} AND {SUITE} = :suite
ORDER BY at DESC, seq DESC LIMIT :limit"""  # noqa: S608
TOTALS = "SELECT dataset, count(*) FROM event INDEXED BY event_time GROUP BY dataset"

SAVE_CHECKPOINT = """
INSERT INTO journal (first_event_id, offset) VALUES (:first_event_id, :offset)
ON CONFLICT(first_event_id) DO UPDATE SET offset = excluded.offset"""
LOAD_CHECKPOINT = "SELECT offset FROM journal WHERE first_event_id = :first_event_id"
SAVE_STATE = """
INSERT INTO state (key, value) VALUES (:key, :value) ON CONFLICT(key) DO UPDATE SET value = excluded.value"""
LOAD_STATE = "SELECT value FROM state WHERE key = :key"

SAVE_PRUNED = """
INSERT INTO pruned (kept, until) VALUES (:kept, :until)
ON CONFLICT(kept) DO UPDATE SET until = max(until, excluded.until)"""
LOAD_PRUNED = "SELECT kept, until FROM pruned"
DELETE_ROWS = """
DELETE FROM event WHERE seq IN (
  SELECT seq FROM event INDEXED BY event_time WHERE dataset = :dataset AND at < :until ORDER BY at LIMIT :limit)"""
DATASETS = """
WITH RECURSIVE known(dataset) AS (
  SELECT min(dataset) FROM event
  UNION ALL SELECT (SELECT min(dataset) FROM event WHERE dataset > known.dataset) FROM known WHERE dataset IS NOT NULL)
SELECT dataset FROM known WHERE dataset IS NOT NULL"""
"""From one to the next along the index: a SELECT DISTINCT would read all of it."""
DELETE_ROLLUPS = """
DELETE FROM rollup WHERE step_s = :rollup_s AND start IN (
  SELECT start FROM rollup WHERE step_s = :rollup_s AND start < :until ORDER BY start LIMIT :limit)"""
DELETE_USAGE = """
DELETE FROM usage WHERE start IN (SELECT start FROM usage WHERE start < :until ORDER BY start LIMIT :limit)"""
LOAD_THRESHOLDS = "SELECT slow_s, late_s FROM threshold"
SAVE_THRESHOLDS = "UPDATE threshold SET slow_s = :slow_s, late_s = :late_s"
LAST_ROW = "SELECT coalesce(max(seq), 0) FROM event"
NEW_IDS = "SELECT event_id FROM event WHERE seq > :after"
