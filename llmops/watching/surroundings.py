"""The rules of what the stack lives on and with: the disk, the shipper, the self-benchmarks."""

from __future__ import annotations

import dataclasses
import functools
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from llmops.alerts.rules import Finding, Severity
from llmops.alerts.surroundings import (
    DISK_PAGE_RULE_ID,
    DISK_RULE_ID,
    ELASTIC_RULE_ID,
    REGRESSION_RULE_ID,
    SHIP_SILENT_S,
    DiskLimits,
    Run,
    Shipping,
    disk_finding,
    regression_finding,
    shipping_finding,
)
from llmops.elastic.report import FILE, last_report
from llmops.events import BenchmarkEvent
from llmops.events.names import name_of
from llmops.store import Store
from llmops.watching.gauges import Look, Rules, Seldom
from llmops.watching.samples import number

EVERY_S = 10.0
SUITE = "self"
_FIRST, _NEXT = 5000, 50
"""So many runs are looked through for the newest of the suite: at the first look, and later."""


def room_of(directory: Path) -> tuple[int, int]:
    """Bytes that may still be written there, and of the whole file system; two zeros where that is not known."""
    try:
        usage = shutil.disk_usage(directory)
    except OSError:
        return 0, 0
    return usage.free, usage.total


class Surroundings:
    """Files and runs are looked at every ten seconds. `directory`: of the state; `ship`: of the shipper in it."""

    def __init__(
        self,
        store: Store,
        directory: Path,
        ship: Path,
        *,
        disk: DiskLimits | None = None,
        ship_silent_s: float = SHIP_SILENT_S,
        room: Callable[[Path], tuple[int, int]] = room_of,
    ) -> None:
        self._store = store
        self._directory = directory
        self._ship = ship
        self._disk = disk or DiskLimits()
        self._ship_silent_s = ship_silent_s
        self._looks = {name: Seldom(EVERY_S) for name in ("disk", "ship", "runs")}
        self._look_at_disk = room
        self._room: tuple[int, int] = (0, 0)
        self._shipping: Shipping | None = None
        self._heard_s = 0.0
        self._run: Run | None = None
        self._asked = False

    @property
    def rules(self) -> Rules:
        """All of them."""
        return {
            DISK_PAGE_RULE_ID: functools.partial(self._space, "page"),
            DISK_RULE_ID: functools.partial(self._space, "ticket"),
            ELASTIC_RULE_ID: self._elastic,
            REGRESSION_RULE_ID: self._regression,
        }

    def _space(self, severity: Severity, look: Look) -> Finding:
        if self._looks["disk"].is_due(look.now):
            self._room = self._look_at_disk(self._directory)
        rule_id = DISK_PAGE_RULE_ID if severity == "page" else DISK_RULE_ID
        return disk_finding(*self._room, self._disk, severity, is_firing=look.is_firing(rule_id))

    def _elastic(self, look: Look) -> Finding:
        if self._looks["ship"].is_due(look.now):
            self._note(read_shipping(self._ship), look)
        if self._shipping is None:
            return shipping_finding(None, look.now, self._ship_silent_s)
        heard_at = look.now - (look.steady_s - self._heard_s)
        return shipping_finding(dataclasses.replace(self._shipping, at=heard_at), look.now, self._ship_silent_s)

    def _note(self, shipping: Shipping | None, look: Look) -> None:
        """How old a report is counts from the look that found it, and at the first look by its own time."""
        is_first, self._shipping, before = self._shipping is None, shipping, self._shipping
        if shipping is not None and (is_first or shipping != before):
            self._heard_s = look.steady_s - (max(0.0, look.now - shipping.at) if is_first else 0.0)

    def _regression(self, look: Look) -> Finding:
        if self._looks["runs"].is_due(look.now):
            runs = self._store.benchmarks(limit=_NEXT if self._asked else _FIRST)
            self._asked = True
            self._run = next((_run(each) for each in runs if _of(each, "suite") == SUITE), self._run)
        return regression_finding(None if look.behind else self._run)


def read_shipping(folder: Path) -> Shipping | None:
    """What the shipper wrote last; None where nothing was ever shipped."""
    report = last_report(folder / FILE)
    if report is None:
        return None
    has_shipped = (folder / "checkpoint.json").exists()
    return Shipping(at=report.at, state=report.state, problem=report.problem, has_shipped=has_shipped)


def _run(document: Mapping[str, Any]) -> Run:
    throughput, ttft = (number(_of(document, name)) for name in ("delta_throughput_pct", "delta_ttft_pct"))
    return Run(is_regression=_of(document, "regression") is True, throughput_pct=throughput, ttft_pct=ttft)


def _of(document: Mapping[str, Any], attribute: str) -> Any:
    return document.get(name_of(BenchmarkEvent, attribute))
