"""`llmops slo backtest`: what objectives would have told, had watch judged by them."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from llmops.alerts.backtest import Fired, fired, outages_of, replay
from llmops.alerts.evaluate import unattainable_sentence
from llmops.events.names import timestamp
from llmops.overview.attainability import unattainables
from llmops.overview.objectivefile import read_objectives
from llmops.overview.objectives import guard_of, objectives_of
from llmops.settings import BadConfiguration, Settings
from llmops.shell.moments import how_long, moment_of
from llmops.shell.slo import SCHEMA_VERSION, objective_fields, spoken
from llmops.shell.tabular import print_json, print_table
from llmops.slo import BURN_ROWS, BadObjectives, Objective, window_name
from llmops.slo.windows import History
from llmops.store.contract import Ended, Questions
from llmops.store.filtering import duration_s
from llmops.store.sqlite import open_store
from llmops.untrusted import safe_line

BEFORE_S = 86400.0
"""Judging begins so long before `--since`, so that what fired already then is known."""
MOST_LOOKS = 1_000_000
_DAY_S = 86400.0
_HEADS = ("objective", "severity", "from (UTC)", "until", "how long", "burn", "bad")


def run(settings: Settings, file: str | None, *, since: str, step: str, as_json: bool) -> int:
    """Print it; 2 for a moment or a step that is none, and where objectives or record can't be read."""
    now = time.time()
    begin = moment_of(since, now)
    step_s = step_of(step, now - begin)
    return spoken(lambda: _backtest(settings, file, begin, now, step_s, as_json=as_json))


def step_of(text: str, span_s: float) -> float:
    """Seconds between two looks. Raises BadConfiguration."""
    found = duration_s(text)
    if found is None or found < 1.0:
        raise BadConfiguration(f"--step is {text!r}: give a length of time of 1s or more, as in 60s or 5m.")
    if span_s <= 0:
        raise BadConfiguration("--since lies in the future: give how long ago, as in 7d.")
    if span_s / found > MOST_LOOKS:
        raise BadConfiguration(
            f"--step {text} takes {span_s / found:.0f} looks: give a longer one, or a later --since; "
            f"{MOST_LOOKS} is the most."
        )
    return found


def _backtest(settings: Settings, file: str | None, since: float, now: float, step_s: float, *, as_json: bool) -> int:
    objectives = objectives_of(settings.objectives) if file is None else _read(Path(file))
    begin = (since - BEFORE_S) // step_s * step_s  # on whole steps: asked again, it is told again
    with contextlib.closing(open_store(settings.state.store, read_only=True)) as store:
        earliest = begin - max([each.window_s for each in objectives] + [row.long_s for row in BURN_ROWS])
        oldest, outages = store.oldest(), outages_of(store.alerts(limit=1_000_000))
        first = max(earliest, now if oldest is None else oldest)
        probes = store.probed(earliest, now)
        history = History(_ended(store, first, now), objectives, probes=probes)
        unattainable = unattainables(store, objectives, now)
    found = replay(
        history,
        guard_of(settings.objectives),
        since=begin,
        until=now,
        step_s=step_s,
        outages=outages,
        unattainable=unattainable,
    )
    lines = [each for each in fired(found, history) if each.until is None or each.until >= since]
    if as_json:
        span = {"since": timestamp(since), "until": timestamp(now), "step_s": step_s}
        held = {"held_since": None if oldest is None else timestamp(oldest)}
        told = {"objectives": [_sums(each, lines, now) for each in objectives]}
        alerts = {"alerts": [_object(each, now) for each in lines]}
        print_json({"schema_version": SCHEMA_VERSION, **span, **held, **told, **alerts})
    else:
        _print(objectives, lines, now)
        for objective in objectives:
            if objective.id in unattainable:
                print(safe_line(f"{objective.id}: {unattainable_sentence(objective, unattainable[objective.id])}"))
        _warn(since, oldest)
    return 0


def _read(path: Path) -> tuple[Objective, ...]:
    """Raises BadObjectives."""
    try:
        path.open("rb").close()
    except OSError as error:
        raise BadObjectives(f"{path} cannot be read ({error.strerror}): name a file of objectives, or none.") from None
    return read_objectives(path)


def _ended(store: Questions, since: float, until: float) -> Iterator[Ended]:
    """A day at a time, so that a month is never in memory twice."""
    while since < until:
        yield from store.ended(since, min(since + _DAY_S, until))
        since += _DAY_S


def _print(objectives: Sequence[Objective], lines: Sequence[Fired], now: float) -> None:
    if lines:
        print_table(_HEADS, [_cells(each, now) for each in lines])
        print()
    for objective in objectives:
        print(safe_line(f"{objective.id}: {_sentence(_sums(objective, lines, now))}"))


def _warn(since: float, oldest: float | None) -> None:
    """Where the windows of the first looks were not full."""
    if oldest is None:
        print("The record holds no request.", file=sys.stderr)
    elif oldest > since - BURN_ROWS[-1].long_s:
        began = timestamp(oldest)[:16]
        print(f"Requests are held since {began}Z: windows that begin before have fewer of them.", file=sys.stderr)


def _cells(line: Fired, now: float) -> tuple[str, ...]:
    short = "--" if line.burn_short is None else f"{line.burn_short:.1f}"
    long = "--" if line.burn_long is None else f"{line.burn_long:.1f}"
    row = line.row
    return (
        line.objective.id,
        line.severity,
        timestamp(line.since)[:19].replace("T", " "),
        "goes on" if line.until is None else timestamp(line.until)[:19].replace("T", " "),
        how_long(_length_s(line, now)),
        f"{long} in {window_name(row.long_s)}, {short} in {window_name(row.short_s)}, over {row.threshold:g}",
        f"{line.requests.bad} of {line.requests.total}",
    )


def _length_s(line: Fired, now: float) -> float:
    return (now if line.until is None else line.until) - line.since


def _sums(objective: Objective, lines: Sequence[Fired], now: float) -> dict[str, Any]:
    found: dict[str, Any] = {"id": objective.id}
    for severity in ("page", "ticket"):
        own = [each for each in lines if each.objective == objective and each.severity == severity]
        found |= {f"{severity}s": len(own), f"{severity}_s": sum(_length_s(each, now) for each in own)}
    return found


def _sentence(sums: dict[str, Any]) -> str:
    parts = [
        f"{sums[f'{severity}s']} {severity}{'s' if sums[f'{severity}s'] > 1 else ''}, "
        f"{how_long(sums[f'{severity}_s'])} in all"
        for severity in ("page", "ticket")
        if sums[f"{severity}s"]
    ]
    return "; ".join(parts) or "nothing would have been told"


def _object(line: Fired, now: float) -> dict[str, Any]:
    return {
        "objective": objective_fields(line.objective),
        "severity": line.severity,
        "since": timestamp(line.since),
        "until": None if line.until is None else timestamp(line.until),
        "duration_s": _length_s(line, now),
        "burn_long": line.burn_long,
        "burn_short": line.burn_short,
        "window_long_s": line.row.long_s,
        "window_short_s": line.row.short_s,
        "threshold": line.row.threshold,
        "total": line.requests.total,
        "bad": line.requests.bad,
    }
