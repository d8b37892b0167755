"""`llmops explain`: the cause of what somebody sees, as far as this machine's own record shows it."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import math
import sys
import time
from collections.abc import Callable, Mapping

from rich.console import Console
from rich.markup import escape

from llmops.events.names import timestamp
from llmops.events.speed import SUITE, StreamSpeed
from llmops.explain.contract import Cause, Explanation, Record
from llmops.explain.oom import explain_oom
from llmops.explain.reading import MOST, read
from llmops.explain.repetition import explain_repetition
from llmops.explain.slow import explain_slow
from llmops.explain.uneven import explain_uneven
from llmops.overview.attainability import speed_of
from llmops.settings import Settings
from llmops.store import open_store
from llmops.store.errors import StoreUnreadable
from llmops.store.filtering import moment
from llmops.store.sql import BadQuery
from llmops.untrusted import safe_line, spelled_out

TOPICS: Mapping[str, Callable[[Record], Explanation]] = {
    "oom": explain_oom,
    "repetition": explain_repetition,
    "uneven-gpus": explain_uneven,
    "slow": explain_slow,
}
_STANDS = {"shown": "the record shows it", "fits": "it fits the record, which does not prove it"}


def run(settings: Settings, what: str, *, since: str, as_json: bool) -> int:
    """Print it; 0 whether or not the problem is there, 2 for bad input or without a record."""
    now = time.time()
    explain, begin = TOPICS.get(what), moment(since, now)
    if explain is None:
        return _refuse(f"{what} is nothing that is explained: give one of {', '.join(TOPICS)}.")
    if begin is None or not math.isfinite(begin):
        return _refuse(f"--since {since} is no moment: write 2h, 7d, or 2026-01-31T12:00Z.")
    if begin >= now:
        return _refuse(f"--since {since} is not in the past: write 2h, 7d, or 2026-01-31T12:00Z.")
    try:
        record = read(settings.state.store, begin, now, **_dials(settings), speed=_speed(settings))
    except (BadQuery, StoreUnreadable) as error:
        return _refuse(str(error))
    explanation = explain(record)
    if as_json:
        told = {"since": _shown(begin), "requests": len(record.requests), "is_cut": record.is_cut}
        print(json.dumps(told | dataclasses.asdict(explanation), indent=2))
    else:
        _print(explanation, record, since)
    return 0


def _dials(settings: Settings) -> dict[str, object]:
    return {
        "max_running": settings.engine.max_running,
        "latency_limit_s": settings.objectives.latency_threshold_s,
        "ttft_limit_s": settings.objectives.ttft_threshold_s,
        "device_map": settings.engine.device_map,
        "quantization": settings.engine.quantization,
        "leak_share": settings.gauges.leak_fire,
    }


def _speed(settings: Settings) -> StreamSpeed:
    """As the record has it. Raises StoreUnreadable."""
    with contextlib.closing(open_store(settings.state.store, read_only=True)) as store:
        run = next(iter(store.benchmarks(limit=1, suite=SUITE)), None)
    return StreamSpeed() if run is None else speed_of(run)


def _shown(moment_s: float) -> str:
    try:
        return timestamp(moment_s)
    except (ValueError, OverflowError, OSError):
        return str(moment_s)


def _refuse(sentence: str) -> int:
    print(f"llmops explain: {spelled_out(sentence)}", file=sys.stderr)
    return 2


def _print(explanation: Explanation, record: Record, since: str) -> None:
    console = Console(highlight=False, soft_wrap=True)
    cut = f", the newest {MOST} of them" if record.is_cut else ""
    console.print(
        f"[bold]{explanation.topic}[/], since {escape(safe_line(since))}: {len(record.requests)} requests{cut}"
    )
    console.print(escape(safe_line(explanation.summary)))
    for cause in explanation.causes:
        _print_cause(console, cause)
    if explanation.would_show:
        console.print("\nWhat would show it:" if not explanation.is_there else "\nWhat would show more:")
        for each in explanation.would_show:
            console.print(f"  - {escape(safe_line(each))}")


def _print_cause(console: Console, cause: Cause) -> None:
    console.print(f"\n[bold]{cause.name}[/] ({_STANDS[cause.standing]})")
    console.print(f"  {escape(safe_line(cause.says))}")
    for each in cause.evidence:
        console.print(f"  - {escape(safe_line(each))}")
    for turn in cause.turns:
        console.print(f"  [bold]{escape(turn.dial)}[/]: {escape(safe_line(turn.to))}")
    if cause.requests:
        console.print(f"  open: {escape(' '.join(safe_line(each, 64) for each in cause.requests))}")
        console.print("        with `llmops requests show ID`")
