"""The canary: one tiny question, asked as any client would, so that a silence is noticed also when nobody else asks."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
import uuid
from contextlib import aclosing

from llmops.bench.run import without_secrets
from llmops.bench.schedule import busy
from llmops.client import ChatTiming, RequestRefused, ServeClient, ServeUnreachable, time_chat
from llmops.events import BenchmarkEvent
from llmops.events.documents import CANARY
from llmops.events.snapshot import ServeSnapshot
from llmops.events.speed import StreamSpeed

_QUESTION = [{"role": "user", "content": "Say hi."}]
_SEED = 20260101
_NOT_NOW = ("starting", "draining")
_PASSING = ("not_ready", "draining")
"""Refusals of a serve that began to start or to drain after we looked."""
_LOOK_S = 0.1
_MARGIN, _PROMPT_TOKENS = 3.0, 64
"""The question takes fewer, its template included."""
_log = logging.getLogger(__name__)


async def probe(
    url: str, *, max_tokens: int, timeout_s: float, stop: threading.Event, api_key: str | None = None
) -> BenchmarkEvent | None:
    """How the question fared, seen from outside; that nobody answers is an outcome too. `timeout_s` is for all of it.

    None where nothing was learned: users are there, serve starts or drains, it does not let us in, or `stop` is set.
    """
    asking = asyncio.create_task(_ask(url, max_tokens, timeout_s, api_key))
    while not stop.is_set():
        done, _ = await asyncio.wait({asking}, timeout=_LOOK_S)
        if done:
            return asking.result()
    asking.cancel()
    await asyncio.wait({asking})
    return None


async def _ask(url: str, max_tokens: int, timeout_s: float, api_key: str | None) -> BenchmarkEvent | None:
    began = time.monotonic()
    snapshot: ServeSnapshot | None = None
    timing: ChatTiming | None = None
    why: str | None = None
    try:
        async with (
            asyncio.timeout(timeout_s) as limit,
            ServeClient(url, api_key=api_key, synthetic=True, user="llmops-canary") as serve,
        ):
            snapshot = await serve.snapshot()
            if snapshot.state in _NOT_NOW or (snapshot.state == "ready" and busy(snapshot)):
                return None
            limit.reschedule(asyncio.get_running_loop().time() + patience_s(snapshot, max_tokens, timeout_s))
            timing = await _time(serve, max_tokens)
    except TimeoutError:
        why = "no answer in time"
    except ServeUnreachable as error:
        why = error.reason
    except RequestRefused as error:
        if error.status < 500 or error.code in _PASSING:
            _log.info("the canary may not ask now: %s", error)
            return None
        why = f"{error.status} {error.code}"
    return BenchmarkEvent(
        at=time.time(),
        benchmark_id=uuid.uuid4().hex,
        suite=CANARY,
        name="probe",
        trigger="schedule",
        max_tokens=max_tokens,
        url=without_secrets(url),
        completed=int(timing is not None),
        failed=int(timing is None),
        duration_s=time.monotonic() - began,
        ttft_p50_s=timing.ttft_s if timing else None,
        e2e_p50_s=timing.e2e_s if timing else None,
        request_model=snapshot.model.id if snapshot else None,
        model_version=snapshot.model.version if snapshot else None,
        error_message=why,
    )


def patience_s(snapshot: ServeSnapshot, max_tokens: int, timeout_s: float) -> float:
    """The setting, or several times what the answer takes on a server of this speed, where that is longer."""
    speed = StreamSpeed(snapshot.expected_output_tokens_per_s, snapshot.expected_input_tokens_per_s)
    return max(timeout_s, _MARGIN * (speed.duration_s(_PROMPT_TOKENS, max_tokens) or 0.0))


async def _time(serve: ServeClient, max_tokens: int) -> ChatTiming:
    started = time.monotonic()
    async with aclosing(serve.chat(_QUESTION, max_tokens=max_tokens, temperature=0.0, seed=_SEED)) as chunks:
        return await time_chat(chunks, started)
