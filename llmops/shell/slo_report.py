"""`llmops slo report`: a month of every objective, a line a day, and who or what spent the budget."""

from __future__ import annotations

import contextlib
import datetime
import re
import time
from collections.abc import Sequence
from typing import Any

from llmops.events.names import timestamp
from llmops.overview.counting import AHEAD_S
from llmops.overview.objectives import objectives_of
from llmops.overview.spending import MOST, Day, Spending, spendings
from llmops.settings import BadConfiguration, Settings
from llmops.shell.slo import SCHEMA_VERSION, objective_fields, percent, spoken, target_of
from llmops.shell.tabular import print_json, print_table
from llmops.slo import Budget
from llmops.store.contract import Blame
from llmops.store.sqlite import open_store
from llmops.untrusted import safe_line

_HEADS = ("  day", "requests", "bad", "good", "of the budget")
_KEY_WIDTH = 24
_NAMES = {"user": "user", "version": "model version", "error": "error", "hour": "hour (UTC)"}


def run(settings: Settings, month: str | None, *, as_json: bool) -> int:
    """Print it; 2 for a month that is none, and where objectives or record can't be read."""
    now = time.time()
    since, until = month_of(month, now)
    return spoken(lambda: _report(settings, since, until, as_json=as_json))


def month_of(text: str | None, now: float) -> tuple[float, float]:
    """Beginning and end of the month in UTC, not beyond now. Raises BadConfiguration."""
    today = datetime.datetime.fromtimestamp(now, datetime.UTC)
    written = text if text is not None else f"{today:%Y-%m}"
    found = re.fullmatch(r"(\d{4})-(0[1-9]|1[0-2])", written, re.ASCII)
    if found is None or int(found[1]) < 1970:
        raise BadConfiguration(f"--month is {written!r}: give a year and a month, as in {today:%Y-%m}.")
    year, number = int(found[1]), int(found[2])
    begin = datetime.datetime(year, number, 1, tzinfo=datetime.UTC).timestamp()
    if begin > now:
        raise BadConfiguration(f"--month {written} has not begun: give one up to {today:%Y-%m}.")
    after = datetime.datetime(year + number // 12, number % 12 + 1, 1, tzinfo=datetime.UTC).timestamp()
    return begin, min(after, now + AHEAD_S)


def _report(settings: Settings, since: float, until: float, *, as_json: bool) -> int:
    objectives = objectives_of(settings.objectives)
    with contextlib.closing(open_store(settings.state.store, read_only=True)) as store:
        found = spendings(store, objectives, since, until)
        oldest = store.oldest()
    if as_json:
        span = {"since": timestamp(since), "until": timestamp(until)}
        held = {"held_since": None if oldest is None else timestamp(oldest)}
        told = [_object(each) for each in found]
        print_json({"schema_version": SCHEMA_VERSION, **span, **held, "objectives": told})
    else:
        print(f"{timestamp(since)[:10]} to {timestamp(until)[:16].replace('T', ' ')} UTC")
        for each in found:
            _print(each, oldest)
    return 0


def _print(spending: Spending, oldest: float | None) -> None:
    objective, whole = spending.objective, spending.whole
    print(f"\n{safe_line(objective.id)}: {target_of(objective).rpartition(' of ')[0]}")
    if not whole.total:
        print("  no requests")
        return
    used = _used(spending.budget)
    print(f"  {percent(spending.good_ratio)} of {whole.total} good, {whole.bad} bad; {used}")
    if spending.worst is not None:
        print(f"  worst day: {_day(spending.worst)}, {spending.worst.tally.bad} of {whole.bad} bad")
    rows = [_cells(day, spending) for day in spending.days if day.tally.total]
    print_table(_HEADS, rows, right=_HEADS[1:])
    for by, blamed in spending.blame.items():
        if blamed:
            print(f"  by {_NAMES[by]}: {_shares(blamed[:MOST], spending.attributed)}")
    if spending.blame and spending.attributed < whole.bad:
        begin = "requests are held no more" if oldest is None else f"requests are held since {timestamp(oldest)[:16]}Z"
        print(f"  {whole.bad - spending.attributed} of {whole.bad} bad ones are only counted: {begin}")


def _used(budget: Budget) -> str:
    share = "" if budget.remaining is None else f" ({100 * (1 - budget.remaining):.0f} %)"
    return f"{budget.used} of {budget.allowed} failures used{share}"


def _cells(day: Day, spending: Spending) -> tuple[Any, ...]:
    tally = day.tally
    granted = (1 - spending.objective.target) * spending.whole.total
    spent = f"{100 * tally.bad / granted:.0f} %"
    return f"  {_day(day)}", tally.total, tally.bad, percent(1 - tally.bad / tally.total), spent


def _day(day: Day) -> str:
    return timestamp(day.start)[:10]


def _shares(blamed: Sequence[Blame], total: int) -> str:
    """`ann 9 (60 %), bob 3 (20 %), others 3 (20 %)`."""
    told = [(safe_line(each.key or "--", _KEY_WIDTH), each.bad) for each in blamed]
    rest = total - sum(bad for _, bad in told)
    told += [("others", rest)] if rest > 0 else []
    return ", ".join(f"{key} {bad} ({100 * bad / total:.0f} %)" for key, bad in told)


def _object(spending: Spending) -> dict[str, Any]:
    budget, worst, bad = spending.budget, spending.worst, spending.whole.bad
    return objective_fields(spending.objective) | {
        "total": spending.whole.total,
        "bad": bad,
        "good_ratio": spending.good_ratio,
        "budget": {"used": budget.used, "allowed": budget.allowed, "remaining": budget.remaining},
        "worst_day": None if worst is None else _day(worst),
        "days": [{"day": _day(day), "total": day.tally.total, "bad": day.tally.bad} for day in spending.days],
        "attributed": spending.attributed,
        "spent_by": {
            by: [{"key": each.key, "bad": each.bad, "share": each.bad / spending.attributed} for each in blamed]
            for by, blamed in spending.blame.items()
        },
    }
