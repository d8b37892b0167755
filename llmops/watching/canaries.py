"""The canary that watch sends: when, and what becomes of its outcome."""

from __future__ import annotations

import asyncio
import threading

from llmops.bench.canary import probe
from llmops.bench.schedule import Schedule
from llmops.events import Emit
from llmops.settings import CanarySettings


def schedule_canary(dials: CanarySettings, url: str, emit: Emit, api_key: str | None = None) -> Schedule:
    """A schedule that was not started yet; its runs happen on a thread of its own."""
    stopping = threading.Event()

    def run() -> bool:
        outcome = asyncio.run(
            probe(url, max_tokens=dials.max_tokens, timeout_s=dials.timeout_s, stop=stopping, api_key=api_key)
        )
        if outcome is not None and not stopping.is_set():
            emit(outcome)
        return True

    return Schedule(run, interval_s=dials.interval_s, retry_s=dials.interval_s, stopping=stopping, what="canary")
