"""Worlds that a screen may have to show, and the app over a recording of them."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any, Literal, cast

from textual.pilot import Pilot

from llmops.client import ServeClient
from llmops.events import AlertEvent, Document, Origin, RequestEvent, SampleEvent
from llmops.events.snapshot import DeviceSnapshot, ModelSnapshot, ServeSnapshot
from llmops.overview import AlertLine, BenchmarkLine, Overview, SloChip
from llmops.settings import TuiSettings
from llmops.store.contract import Bucket, Percentiles, RequestRow
from llmops.tui.app import assemble
from llmops.tui.feed import RecordedFeed
from llmops.tui.messages import Looked
from llmops.tui.terminal import LlmopsApp

NOW = 1_700_000_000.0
ORIGIN = Origin(
    service_name="serve", service_version="0", instance_id="a1", host_name="box", host_id="h1", process_id=1
)


def request_document(at: float, request_id: str = "r", **fields: Any) -> Document:
    """A request as the record has it."""
    given: dict[str, Any] = {"at": at, "request_id": request_id, "duration_s": 0.5} | fields
    return ORIGIN.document(RequestEvent(**given))


def sample_document(at: float) -> Document:
    """A hardware sample."""
    return ORIGIN.document(SampleEvent(at=at, device_id="GPU-0", device_name="card"))


def alert_document(at: float, **fields: Any) -> Document:
    """A transition of an alert."""
    given: dict[str, Any] = {"at": at, "action": "firing", "rule_id": "vram", "rule_name": "memory"} | fields
    return ORIGIN.document(AlertEvent(**given))


def snapshot(**changes: Any) -> ServeSnapshot:
    """A serve at work."""
    device = DeviceSnapshot(
        id="0", name="A card", type="gpu", utilization=0.5, memory_used_bytes=1, memory_limit_bytes=4
    )
    fields: dict[str, Any] = {
        "schema_version": "1",
        "at": NOW,
        "instance_id": "i-1",
        "process_id": 7,
        "started_at": NOW - 60,
        "previous_exit": "none",
        "state": "ready",
        "model": ModelSnapshot(id="some/model", version="3f2a1b9c00", engine="echo"),
        "running": 2,
        "running_capacity": 16,
        "waiting": 5,
        "waiting_capacity": 100,
        "output_tokens_per_s": 12.5,
        "requests_by_outcome": {"success": 3},
        "refusals_by_slug": {},
        "devices": (device,),
    }
    return ServeSnapshot(**(fields | changes))


def row(number: int, **changes: Any) -> RequestRow:
    """A finished request; higher numbers are newer."""
    fields: dict[str, Any] = {
        "at": NOW - 100 + number,
        "event_id": f"e{number}",
        "request_id": f"request-{number:04d}",
        "user": "alice",
        "model": "some/model",
        "status_code": 200,
        "outcome": "success",
        "error_type": None,
        "finish_reason": "stop",
        "duration_s": 1.0 + number,
        "ttft_s": 0.1,
        "tpot_s": 0.02,
        "queue_s": 0.0,
        "input_tokens": 10,
        "output_tokens": 50,
        "eligible": True,
        "synthetic": False,
    }
    return RequestRow(**(fields | changes))


CHIP = SloChip(
    name="availability",
    target=0.999,
    window_s=2592000.0,
    total=14000,
    bad=3,
    allowed_bad=14,
    good_ratio=0.9998,
    budget_remaining=0.786,
    burn=0.1,
    state="ok",
)
ALERT = AlertLine(
    name="GPU memory", severity="page", state="firing", since=NOW - 65, value=0.9, threshold=0.8, reason="90 % used"
)
BENCHMARK = BenchmarkLine(
    at=NOW - 500,
    benchmark_id="b",
    trigger="schedule",
    completed=8,
    failed=0,
    output_tokens_per_s=88.0,
    ttft_p50_s=0.05,
    e2e_p50_s=1.0,
    regression=False,
    delta_throughput_pct=-1.0,
)


def world(rows: int = 3, **changes: Any) -> Overview:
    """Everything at once."""
    latency = Percentiles(count=3, p50=1.0, p95=2.0, p99=2.5)
    buckets = (
        Bucket(start=NOW - 300 + 5 * i, requests=1, failed=0, output_tokens=50 * i, max_duration_s=0.1 * i)
        for i in range(60)
    )
    fields: dict[str, Any] = {
        "at": NOW,
        "url": "http://there",
        "health": "ok",
        "reason": "all_good",
        "serve": snapshot(),
        "record_age_s": 1.0,
        "latency": latency,
        "first_token": latency,
        "outcomes": {"success": 3},
        "output_tokens_per_s": 12.5,
        "series": tuple(buckets),
        "slo": (
            CHIP,
            dataclasses.replace(CHIP, name="latency", target=0.99),
            dataclasses.replace(CHIP, name="ttft", target=0.95),
        ),
        "requests": tuple(row(number) for number in reversed(range(rows))),
        "devices": snapshot().devices,
    }
    return Overview(**(fields | changes))


def later(overview: Overview, seconds: float, **changes: Any) -> Overview:
    """The same some time after."""
    return dataclasses.replace(overview, at=overview.at + seconds, **changes)


def app_over(
    *overviews: Overview,
    url: str = "http://127.0.0.1:9",
    documents: Sequence[Document] = (),
    language: Literal["en", "zh"] = "en",
    keys: dict[str, str] | None = None,
    refresh_s: float = 60.0,
) -> LlmopsApp:
    """The app on a recording, with a real client for its chat."""
    settings = TuiSettings(refresh_s=refresh_s, language=language, keys=keys or {})
    feed = RecordedFeed(overviews or (world(),), documents)

    def connect() -> AbstractAsyncContextManager[Any]:
        return cast("AbstractAsyncContextManager[Any]", ServeClient(url, user="tui"))

    return assemble(url, Path("/nowhere/llmops.sqlite"), settings, feed, connect)


async def settle(pilot: Pilot[int], overview: Overview | None = None) -> None:
    """Let the app show this overview, or the first one."""
    if overview is not None:
        pilot.app.post_message(Looked(overview, 0.001))
    await pilot.pause(0.1)


def text_of(app: LlmopsApp) -> str:
    """What stands on the screen, line by line."""
    width, height = app.size
    lines = app.screen._compositor.render_strips()
    return "\n".join("".join(segment.text for segment in strip)[:width] for strip in lines[:height])
