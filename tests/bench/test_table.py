from __future__ import annotations

import dataclasses
import io

from rich.console import Console

from llmops.bench.compare import compare
from llmops.bench.table import as_table
from llmops.events import BenchmarkEvent
from llmops.events.names import to_fields

RUN = BenchmarkEvent(
    at=1.0,
    benchmark_id="now",
    ttft_mean_s=0.11,
    ttft_p50_s=0.1,
    ttft_p95_s=0.2,
    ttft_p99_s=0.3,
    output_tokens_per_s=100.0,
)
BEFORE = to_fields(dataclasses.replace(RUN, benchmark_id="before", ttft_p50_s=0.08, output_tokens_per_s=80.0))


def _rows(run: BenchmarkEvent, before: dict[str, object] | None) -> dict[str, list[str]]:
    out = io.StringIO()
    Console(file=out, width=120, color_system=None).print(as_table(run, before))
    lines = [line.strip() for line in out.getvalue().splitlines()]
    return {cells[0]: cells[1:] for cells in ([cell for cell in line.split("  ") if cell.strip()] for line in lines)}


def _stripped(cells: list[str]) -> list[str]:
    return [cell.strip() for cell in cells]


def test_times_are_milliseconds_and_stand_beside_the_run_before() -> None:
    rows = _rows(compare(RUN, BEFORE), BEFORE)
    assert _stripped(rows["TTFT (ms)"]) == ["110.0", "100.0", "200.0", "300.0", "80.0", "+25.0 %"]
    assert _stripped(rows["output tokens/s"]) == ["100.00", "80.00", "+25.0 %"]


def test_what_is_unknown_is_a_dash() -> None:
    rows = _rows(RUN, None)
    assert _stripped(rows["ITL (ms)"]) == ["--"] * 6
    assert _stripped(rows["TTFT (ms)"])[-2:] == ["--", "--"]


def test_a_run_that_does_not_compare_is_not_shown_as_the_one_before() -> None:
    assert _stripped(_rows(RUN, BEFORE)["TTFT (ms)"])[-2:] == ["--", "--"]


def test_a_run_of_something_else_has_a_heading_of_its_own() -> None:
    out = io.StringIO()
    Console(file=out, width=120, color_system=None).print(as_table(RUN, None, BEFORE))
    assert "unlike run" in out.getvalue()
    assert "before" not in out.getvalue()
    assert "+25.0 %" in out.getvalue()
