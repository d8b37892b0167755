"""Questions over a span, answered from rows at its ends and from rollups in its middle; what comes out is exact but for
percentiles, which say which they are."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple, TypeAlias

from llmops.store import queries
from llmops.store.answers import filled, most_used, percentiles, steps
from llmops.store.columns import MEASURES
from llmops.store.contract import Bucket, Counts, Dimension, How, Judged, Measure, Percentiles, Usage
from llmops.store.covering import HOUR_S, MINUTE_S, Horizon, Piece, cover
from llmops.store.sketch import Sketch, merged

Ask: TypeAlias = Callable[[str, Mapping[str, Any]], list[Any]]
"""Rows of a query. All queries of one question see the same moment of the file."""

EXACT_VALUES = 50_000
"""Percentiles of so many values are exact, unless asked otherwise: reading and sorting them takes some 50 ms. So are
counts over a threshold that the rollups were not counted with."""


class _Over(NamedTuple):
    """What is counted over a threshold: how rows are asked, how rollups, and what their histograms held."""

    rows: str
    rolled: str
    judged: str


_DURATIONS = _Over(queries.COUNTS, queries.ROLLED_COUNTS, queries.JUDGED)
_FIRST_TOKENS = _Over(queries.FIRST_TOKENS, queries.ROLLED_FIRST_TOKENS, queries.JUDGED_FIRST_TOKENS)


def horizon_of(ask: Ask) -> Horizon:
    """Until when rows and minutes were pruned."""
    pruned = dict(ask(queries.LOAD_PRUNED, {}))
    nothing = Horizon()
    return Horizon(rows=pruned.get("requests", nothing.rows), minutes=pruned.get("minutes", nothing.minutes))


def counts(ask: Ask, since: float, until: float, slow_s: float) -> Counts:
    """Eligible requests; see `Questions.counts`."""
    total, failed, slow, is_exact = _over(ask, since, until, slow_s, _DURATIONS)
    return Counts(total=total, failed=failed, slow=slow, is_exact=is_exact)


def first_tokens(ask: Ask, since: float, until: float, late_s: float) -> Judged:
    """First tokens of eligible requests; see `Questions.first_tokens`."""
    total, _, late, is_exact = _over(ask, since, until, late_s, _FIRST_TOKENS)
    return Judged(total=total, bad=late, is_exact=is_exact)


def limited(ask: Ask, since: float, until: float) -> Judged:
    """Eligible requests with a limit of their own; see `Questions.limited`."""
    total = over = 0
    for piece in cover(since, until, horizon_of(ask)):
        ((more, late),) = ask(queries.ROLLED_LIMITED if piece.step_s else queries.LIMITED, _span(piece))
        total, over = total + more, over + late
    return Judged(total=total, bad=over)


def _over(ask: Ask, since: float, until: float, over_s: float, what: _Over) -> tuple[int, int, int, bool]:
    """All, failed ones, those over the threshold, and whether the latter were counted one by one."""
    horizon = horizon_of(ask)
    total = failed = over = 0
    is_exact = True
    for piece in cover(since, until, horizon):
        values = _span(piece, over_s=over_s)
        if not piece.step_s:
            ((more, bad, late),) = ask(what.rows, values)
        else:
            ((more, bad, late, others),) = ask(what.rolled, values)
            if others:
                rows = horizon.rows if more <= EXACT_VALUES else piece.until
                late, exact = _otherwise(ask, piece, over_s, what, rows)
                is_exact = is_exact and exact
        total, failed, over = total + more, failed + bad, over + late
    return total, failed, over, is_exact


def _otherwise(ask: Ask, piece: Piece, over_s: float, what: _Over, rows: float) -> tuple[int, bool]:
    """Over a threshold that the rollups were not counted with: of rows from the moment `rows` on, before of histograms.

    What was judged and has no value in its histogram is bad whatever the threshold: it failed before there was one.
    """
    border = min(max(piece.since, rows), piece.until)
    ((_, _, over),) = ask(what.rows, _span(Piece(0, border, piece.until), over_s=over_s))
    old = ask(what.judged, _span(Piece(piece.step_s, piece.since, border), over_s=over_s))
    over += sum(same for same, _, blob in old if blob is None)
    held = [(judged, blob) for _, judged, blob in old if blob is not None]
    whole = merged(blob for _, blob in held)
    valueless = sum(judged for judged, _ in held) - whole.count if what is _FIRST_TOKENS else 0
    return over + whole.above(over_s) + valueless, not held


def outcomes(ask: Ask, since: float, until: float, synthetic: bool) -> dict[str, int]:
    """What became of requests; see `Questions.outcomes`."""
    found: Counter[str] = Counter()
    for piece in _hours(ask, since, until):
        question = queries.ROLLED_OUTCOMES if piece.step_s else queries.OUTCOMES
        found.update(dict(ask(question, _span(piece, synthetic=int(synthetic)))))
    return dict(found)


def usage(ask: Ask, since: float, until: float, by: Dimension, limit: int) -> list[Usage]:
    """Who had how much; see `Questions.usage`."""
    sums: dict[str | None, list[int]] = defaultdict(lambda: [0, 0, 0, 0])
    for piece in _hours(ask, since, until):
        question = queries.rolled_usage(by) if piece.step_s else queries.usage(by)
        for key, *had in ask(question, _span(piece)):
            sums[key] = [one + other for one, other in zip(sums[key], had, strict=True)]
    return most_used(sums.items(), limit)


def latencies(ask: Ask, measure: Measure, since: float, until: float, how: How | None) -> Percentiles:
    """Percentiles of one measure; see `Questions.percentiles`."""
    horizon = horizon_of(ask)
    column = MEASURES[measure]
    pieces = cover(since, until, horizon)
    if since < horizon.rows:
        how = "sketch"
    elif how is None:
        how = "exact" if _requests(ask, pieces) <= EXACT_VALUES else "sketch"
    if how == "exact":
        values = {"since": since, "until": until}
        return percentiles(row[0] for row in ask(queries.values_of(column), values))
    whole = Sketch()
    for piece in pieces:
        if piece.step_s:
            for (written,) in ask(queries.sketches_of(column), _span(piece)):
                whole.merge_bytes(written)
        else:
            whole.merge(Sketch(row[0] for row in ask(queries.values_of(column), _span(piece))))
    p50, p95, p99 = whole.quantiles(50, 95, 99)
    return Percentiles(count=whole.count, p50=p50, p95=p95, p99=p99, how="sketch")


def _requests(ask: Ask, pieces: list[Piece]) -> int:
    """How many requests the rollups of these pieces have; what is at the ends is little."""
    return sum(ask(queries.ROLLED_REQUESTS, _span(piece))[0][0] for piece in pieces if piece.step_s)


def series(ask: Ask, since: float, until: float, step_s: float) -> list[Bucket]:
    """Steps of a chart; see `Questions.series`. Of old spans a minute, or hour, counts in the step where it begins."""
    count = steps(since, until, step_s)
    largest_s = next((size for size in (HOUR_S, MINUTE_S) if step_s % size == 0 and since % size == 0), 0)
    found: dict[int, Bucket] = {}
    for piece in cover(since, until, horizon_of(ask), largest_s=largest_s):
        question = queries.ROLLED_SERIES if piece.step_s else queries.SERIES
        for index, *had in ask(question, _span(piece, origin=since, width_s=step_s)):
            at = min(max(int(index), 0), count - 1)
            found[at] = _together(found.get(at), since + at * step_s, *had)
    return filled(found, since, step_s, count)


def _together(
    before: Bucket | None, start: float, requests: int, failed: int, tokens: int, longest_s: float | None
) -> Bucket:
    known = [each for each in (longest_s, before.max_duration_s if before else None) if each is not None]
    return Bucket(
        start=start,
        requests=requests + (before.requests if before else 0),
        failed=failed + (before.failed if before else 0),
        output_tokens=tokens + (before.output_tokens if before else 0),
        max_duration_s=max(known, default=None),
    )


def _hours(ask: Ask, since: float, until: float) -> Iterator[Piece]:
    """Pieces of hours and rows: what became of requests, and whose they were, is not summed by minutes."""
    horizon = horizon_of(ask)
    yield from cover(since, until, Horizon(rows=horizon.rows, minutes=float("inf")))


def _span(piece: Piece, **more: Any) -> dict[str, Any]:
    return {"since": piece.since, "until": piece.until, "rollup_s": piece.step_s, **more}
