"""What the one writer does within a transaction: new rows with their sums, ages, the thresholds that are counted."""

from __future__ import annotations

import math
import sqlite3
from collections.abc import Mapping, Sequence

from llmops.store import queries
from llmops.store.answers import hour_of
from llmops.store.columns import Columns, kept_as
from llmops.store.contract import Checkpoint, Kept
from llmops.store.covering import HOUR_S, MINUTE_S
from llmops.store.leftout import LeftOut
from llmops.store.rollups import RECOUNT_LATE, RECOUNT_SLOW, Rollups
from llmops.store.schema import INSERT


def record(
    connection: sqlite3.Connection, rows: Sequence[Columns], checkpoints: Sequence[Checkpoint], left_out: LeftOut
) -> int:
    """Rows that are new, their part of the rollups, and how far the journal was read. Returns how many were new."""
    rows = left_out.sift(rows, dict(connection.execute(queries.LOAD_PRUNED)))
    ((last,),) = connection.execute(queries.LAST_ROW)
    before = connection.total_changes
    connection.executemany(INSERT, rows)
    new = connection.total_changes - before
    if new:
        ((slow_s, late_s),) = connection.execute(queries.LOAD_THRESHOLDS)
        sums = Rollups(slow_s, late_s)
        sums.take(rows if new == len(rows) else _new_among(connection, rows, last))
        sums.write(connection)
    marks = [{"first_event_id": mark.first_event_id, "offset": mark.offset} for mark in checkpoints]
    connection.executemany(queries.SAVE_CHECKPOINT, marks)
    return new


def _new_among(connection: sqlite3.Connection, rows: Sequence[Columns], last: int) -> list[Columns]:
    """Those that were inserted just now; of the same event twice, the first."""
    ids = {event_id for (event_id,) in connection.execute(queries.NEW_IDS, {"after": last})}
    found = {row.event_id: row for row in reversed(rows) if row.event_id in ids}
    return list(found.values())


def prune(connection: sqlite3.Connection, before: Mapping[Kept, float], limit: int) -> int:
    """See `Store.prune`. From the first call on, nothing older is taken or asked for as rows."""
    for kept, moment in before.items():
        connection.execute(queries.SAVE_PRUNED, {"kept": kept, "until": hour_of(moment)})
    pruned = dict(connection.execute(queries.LOAD_PRUNED))
    gone = 0
    for (dataset,) in connection.execute(queries.DATASETS).fetchall():
        until = pruned.get(kept_as(dataset), -math.inf)
        values = {"dataset": dataset, "until": until, "limit": limit - gone}
        gone += connection.execute(queries.DELETE_ROWS, values).rowcount
    for kept, rollup_s in (("minutes", MINUTE_S), ("hours", HOUR_S)):
        if kept in pruned and gone < limit:
            values = {"rollup_s": rollup_s, "until": pruned[kept], "limit": limit - gone}
            gone += connection.execute(queries.DELETE_ROLLUPS, values).rowcount
    if "hours" in pruned and gone < limit:
        connection.execute(queries.DELETE_USAGE, {"until": pruned["hours"], "limit": limit})
    return gone


def set_thresholds(connection: sqlite3.Connection, slow_s: float | None, late_s: float | None) -> None:
    """Count requests slower than this, and first tokens later than that, from now on, and again in all rollups whose
    rows are still there. None leaves it."""
    ((known_slow_s, known_late_s),) = connection.execute(queries.LOAD_THRESHOLDS)
    slow_s, late_s = known_slow_s if slow_s is None else slow_s, known_late_s if late_s is None else late_s
    since = dict(connection.execute(queries.LOAD_PRUNED)).get("requests", -math.inf)
    if slow_s != known_slow_s:
        connection.execute(RECOUNT_SLOW, {"over_s": slow_s, "since": since})
    if late_s != known_late_s:
        connection.execute(RECOUNT_LATE, {"over_s": late_s, "since": since})
    connection.execute(queries.SAVE_THRESHOLDS, {"slow_s": slow_s, "late_s": late_s})
