"""What the stack lives on and with: room on the disk, the way to Elasticsearch, its last self-benchmark."""

from __future__ import annotations

import dataclasses

from llmops.alerts.phrases import Phrase, say
from llmops.alerts.rules import Finding, Severity

DISK_RULE_ID, DISK_PAGE_RULE_ID = "disk_space", "disk_space.page"
"""Two alerts, so that what was told as a ticket is told again once it is a page."""
ELASTIC_RULE_ID = "elasticsearch_unreachable"
REGRESSION_RULE_ID = "benchmark_regression"
DISK_FOR_S, DISK_KEEP_S = 30.0, 300.0
SHIP_SILENT_S, SHIP_SILENT_FOR_S = 300.0, 30.0
"""A machine that slept wakes with an old report: so long is left for a new one."""
SHIP_FOR_S, SHIP_KEEP_S = 120.0, 60.0
"""A server that is busy for a moment is waited for, and no news."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Room:
    """Free space under which somebody must look, as a share and in bytes; whichever of the two is reached."""

    share: float = 0.0
    size_bytes: int = 0

    def is_short(self, free_bytes: int, total_bytes: int) -> bool:
        """There is less."""
        return free_bytes < max(self.size_bytes, self.share * total_bytes)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class DiskLimits:
    """Free space: less than `ticket` fires, `clear` and more clears; and the same for the page."""

    ticket: Room = Room(share=0.05, size_bytes=1 << 30)
    clear: Room = Room(share=0.08, size_bytes=2 << 30)
    page: Room = Room(share=0.01)
    page_clear: Room = Room(share=0.02)


def disk_finding(
    free_bytes: int, total_bytes: int, limits: DiskLimits, severity: Severity, *, is_firing: bool
) -> Finding:
    """The file system of the state directory; `total_bytes` 0: not known."""
    is_page = severity == "page"
    fire, clear = (limits.page, limits.page_clear) if is_page else (limits.ticket, limits.clear)
    active = (clear if is_firing else fire).is_short(free_bytes, total_bytes) if total_bytes else None
    share = free_bytes / total_bytes if total_bytes else None
    sentence = "unknown" if active is None else "below" if active else "above"
    return Finding(
        rule_id=DISK_PAGE_RULE_ID if is_page else DISK_RULE_ID,
        name=say("disk_space.page" if is_page else "disk_space"),
        severity=severity,
        active=active,
        value=share,
        threshold=fire.share,
        reason=say(f"disk_space.{sentence}", free=f"{free_bytes / 2**30:.1f} GiB", share=share),
        for_s=DISK_FOR_S,
        keep_s=DISK_KEEP_S,
    )


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Shipping:
    """What the shipper wrote of itself at `at`. `has_shipped`: it ever was somewhere, so that an end in trouble is
    no first try by hand."""

    at: float
    state: str
    problem: str | None
    has_shipped: bool = True


def shipping_finding(shipping: Shipping | None, now: float, silent_s: float = SHIP_SILENT_S) -> Finding:
    """Events wait for Elasticsearch. None: nobody ever shipped, which is no trouble."""
    trouble = None if shipping is None else _trouble(shipping, now, silent_s)
    is_silent = trouble is not None and trouble.key == "elasticsearch_unreachable.silent"
    return Finding(
        rule_id=ELASTIC_RULE_ID,
        name=say("elasticsearch_unreachable"),
        severity="ticket",
        active=trouble is not None,
        reason=trouble or say("elasticsearch_unreachable.calm"),
        for_s=SHIP_SILENT_FOR_S if is_silent else SHIP_FOR_S,
        keep_s=SHIP_KEEP_S,
    )


def _trouble(shipping: Shipping, now: float, silent_s: float) -> Phrase | None:
    if shipping.state == "stopped":
        ended_in_trouble = shipping.problem is not None and shipping.has_shipped
        return say("elasticsearch_unreachable.ended", why=shipping.problem) if ended_in_trouble else None
    if now - shipping.at >= silent_s:
        return say("elasticsearch_unreachable.silent", minutes=(now - shipping.at) / 60.0)
    if shipping.state == "waiting":
        return say("elasticsearch_unreachable.waiting", why=shipping.problem or "")
    return None


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """The last self-benchmark against the one before: changes in per cent, None where they are not known."""

    is_regression: bool
    throughput_pct: float | None = None
    ttft_pct: float | None = None


def regression_finding(run: Run | None) -> Finding:
    """It is over with the next run that is none. None: there was no run."""
    changes = () if run is None else (("throughput", run.throughput_pct), ("ttft", run.ttft_pct))
    parts = tuple(say(f"benchmark_regression.{what}", change=pct) for what, pct in changes if pct is not None)
    told = say("several", parts=parts) if parts else say("benchmark_regression.compared")
    return Finding(
        rule_id=REGRESSION_RULE_ID,
        name=say("benchmark_regression"),
        severity="ticket",
        active=None if run is None else run.is_regression,
        value=None if run is None else run.throughput_pct,
        reason=told if run is not None else say("benchmark_regression.unknown"),
    )
