"""What happened in a demo, printed at its end, and whether all went well."""

from __future__ import annotations

import time

from llmops.overview import look
from llmops.overview.counting import AHEAD_S
from llmops.settings import Settings
from llmops.shell.console import console_for
from llmops.shell.record import readable_store
from llmops.shell.status import as_table


def print_report(settings: Settings, *, started_at: float, asked: int, unanswered: int) -> int:
    """0 when every question since `started_at` was answered in time, the record agrees, and no alert fires; else 1."""
    now = time.time()
    with readable_store(settings.state.store) as (store, problem):
        overview = look(store, settings.serve.url, now, objectives=settings.objectives)
        outcomes = store.outcomes(started_at, now + AHEAD_S) if store else {}
        p99_s = store.percentiles("duration", started_at, now + AHEAD_S).p99 if store else None
    print(f"asked {asked} questions, {unanswered} not answered")
    console_for().print(as_table(overview, problem))
    answered = outcomes.get("success", 0)
    failed = sum(outcomes.values()) - answered
    complaints = {
        f"{unanswered} questions were not answered": unanswered > 0,
        f"{asked} questions were asked, but {answered} answers are on record": answered != asked,
        f"{failed} requests failed": failed > 0,
        f"P99 is {p99_s} s, over {settings.objectives.latency_threshold_s} s": p99_s is not None
        and p99_s > settings.objectives.latency_threshold_s,
        f"alerts fire: {', '.join(alert.name for alert in overview.firing)}": bool(overview.firing),
        f"the stack is {overview.health}": overview.health != "ok",
    }
    wrong = [text for text, holds in complaints.items() if holds]
    print("all is well" if not wrong else "not well: " + "; ".join(wrong))
    return 1 if wrong else 0
