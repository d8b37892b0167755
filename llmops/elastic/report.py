"""What the shipper says of itself, in a file that `llmops status` reads without Elasticsearch."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import time
from pathlib import Path
from typing import Literal, TypeAlias

from llmops.state.files import read_private, replace

State: TypeAlias = Literal["shipping", "waiting", "up to date", "stopped"]
FILE = "status.json"


@dataclasses.dataclass(slots=True, kw_only=True)
class ShipReport:
    """Counts since this shipper started. `refused`: answers, so a document that is sent again counts again."""

    started_at: float
    at: float
    process_id: int = dataclasses.field(default_factory=os.getpid)
    state: State = "shipping"
    created: int = 0
    known: int = 0
    refused: int = 0
    batches: int = 0
    retries: int = 0
    shipped_bytes: int = 0
    behind_bytes: int = 0
    bulk_s: float = 0.0
    problem: str | None = None

    def sentence(self) -> str:
        """One line for people."""
        counts = f"{self.created} created, {self.known} there already, {self.refused} refused"
        behind = f", {self.behind_bytes} bytes behind" if self.behind_bytes else ""
        return f"{self.state}: {counts}{behind}" + (f"; {self.problem}" if self.problem else "")


def write_report(path: Path, report: ShipReport) -> None:
    """Replace the file. Raises nothing: a full disk must not stop what the report is about."""
    with contextlib.suppress(OSError):
        replace(path, json.dumps(dataclasses.asdict(report), indent=1).encode())


def read_report(path: Path) -> ShipReport | None:
    """The last report; None when nothing was ever shipped. One whose process is gone without a word says so."""
    report = last_report(path)
    if report is not None and report.state != "stopped" and not Path(f"/proc/{report.process_id}").exists():
        report.state, report.problem = "stopped", "it ended without a word"
    return report


def last_report(path: Path) -> ShipReport | None:
    """As the shipper wrote it, whatever became of its process; None when there is none that can be read."""
    try:
        report = ShipReport(**json.loads(read_private(path)))
        report.at, report.process_id = float(report.at), int(report.process_id)
    except (OSError, ValueError, TypeError, OverflowError, RecursionError):
        return None
    return report


def fresh_report() -> ShipReport:
    """Of a shipper that starts now."""
    now = time.time()
    return ShipReport(started_at=now, at=now)
