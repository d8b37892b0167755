"""`llmops slo`: where every objective stands, for a person or for a script."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import sys
import time
from collections.abc import Callable
from typing import Any

from llmops.alerts.evaluate import unattainable_phrase
from llmops.events.names import timestamp
from llmops.overview.standing import BURN_WINDOWS_S, Standing, standings
from llmops.settings import Settings
from llmops.shell.moments import how_long
from llmops.shell.tabular import print_json, print_table
from llmops.slo import BadObjectives, Objective, Verdict, window_name
from llmops.store.errors import StoreUnreadable
from llmops.store.sqlite import open_store
from llmops.untrusted import safe_line, spelled_out

SCHEMA_VERSION = "1"
_HEADS = ("objective", "state", "target", "good", "budget", "burn 1h / 6h / 3d", "lasts", "P99")


def run(settings: Settings, *, as_json: bool) -> int:
    """Print it; 0 ok, 1 something is at risk or breached, 2 it cannot be told."""
    return spoken(lambda: _status(settings, as_json=as_json))


def spoken(verb: Callable[[], int]) -> int:
    """What the verb returns; 2 and one sentence where objectives or record can't be read, 130 when it was stopped."""
    try:
        return verb()
    except (BadObjectives, StoreUnreadable) as error:
        print(f"llmops slo: {spelled_out(str(error))}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # as with `| head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


def _status(settings: Settings, *, as_json: bool) -> int:
    now = time.time()
    with contextlib.closing(open_store(settings.state.store, read_only=True)) as store:
        found = standings(store, now, settings.objectives)
    if as_json:
        objectives = [_object(each) for each in found]
        print_json({"schema_version": SCHEMA_VERSION, "at": timestamp(now), "objectives": objectives})
    else:
        print_table(_HEADS, [_cells(each) for each in found])
        for each in found:
            if each.verdict.unattainable is not None:
                print(safe_line(f"{each.objective.id}: {unattainable_phrase(each.verdict)}"))
    return 1 if any(each.state in ("at_risk", "breached") for each in found) else 0


def _cells(standing: Standing) -> tuple[str, ...]:
    verdict, objective = standing.verdict, standing.objective
    burns = (standing.burn(window_s) for window_s in BURN_WINDOWS_S)
    left_s = verdict.exhausted_in_s
    return (
        objective.id,
        standing.state.replace("_", " "),
        target_of(objective),
        percent(verdict.good_ratio),
        f"{verdict.budget.used} of {verdict.budget.allowed} failures used",
        " / ".join("--" if burn is None else f"{burn:.1f}" for burn in burns),
        "--" if left_s is None else "spent" if left_s == 0 else how_long(left_s),
        "--" if standing.p99_s is None else f"{standing.p99_s:.2f} s",
    )


def target_of(objective: Objective) -> str:
    """`99 % under 3 s of 30d`."""
    limit = "" if objective.threshold_s is None else f" under {objective.threshold_s:g} s"
    if objective.measure == "duration_for_length":
        limit = " for their length"
    return f"{100 * objective.target:g} %{limit} of {window_name(objective.window_s)}"


def percent(ratio: float | None) -> str:
    """A share, never rounded up to all of it."""
    if ratio is None:
        return "--"
    return f"{100 * ratio:.2f} %" if ratio == 1.0 or ratio < 0.99995 else "99.99+ %"


def objective_fields(objective: Objective) -> dict[str, Any]:
    """An objective as plain JSON values."""
    return {each.name: getattr(objective, each.name) for each in dataclasses.fields(objective) if each.compare}


def _unattainable(verdict: Verdict) -> dict[str, Any]:
    return {"reason": str(unattainable_phrase(verdict)), **dataclasses.asdict(verdict)["unattainable"]}


def _object(standing: Standing) -> dict[str, Any]:
    verdict = standing.verdict
    return objective_fields(standing.objective) | {
        "state": standing.state,
        "total": verdict.whole.total,
        "bad": verdict.whole.bad,
        "good_ratio": verdict.good_ratio,
        "budget": dataclasses.asdict(verdict.budget),
        "burn": {window_name(burn.row.long_s): burn.long for burn in verdict.burns},
        "exhausted_in_s": verdict.exhausted_in_s,
        "unattainable": None if verdict.unattainable is None else _unattainable(verdict),
        "p99_s": standing.p99_s,
    }
