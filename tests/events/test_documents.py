from __future__ import annotations

import pytest

from llmops.events import AlertEvent, BenchmarkEvent, RequestEvent, SampleEvent
from llmops.events.documents import CANARY


def _request(**values: object) -> RequestEvent:
    return RequestEvent(at=0.0, request_id="r-1", **values)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("event", "line", "level"),
    [
        (
            _request(finish_reasons=("stop",), duration_s=0.5, input_tokens=3, output_tokens=4),
            "200 stop 0.500 s 3+4 tokens id=r-1",
            "INFO",
        ),
        (_request(), "200 success 0.000 s id=r-1", "INFO"),
        (_request(output_tokens=2), "200 success 0.000 s 0+2 tokens id=r-1", "INFO"),
        (
            _request(status_code=503, outcome="failure", error_type="queue_full"),
            "503 queue_full 0.000 s id=r-1",
            "WARNING",
        ),
        (_request(status_code=500, outcome="failure", error_type="oom"), "500 oom 0.000 s id=r-1", "ERROR"),
        (_request(status_code=499, outcome="unknown"), "499 unknown 0.000 s id=r-1", "WARNING"),
    ],
)
def test_a_request_is_one_line_at_the_level_of_whose_fault_it_was(event: RequestEvent, line: str, level: str) -> None:
    assert (event.message(), event.level()) == (line, level)


@pytest.mark.parametrize(("values", "percent"), [({"utilization": 0.5}, 50), ({"cpu_utilization": 0.25}, 25), ({}, 0)])
def test_a_sample_says_how_busy_the_device_is(values: dict[str, float], percent: int) -> None:
    event = SampleEvent(at=0.0, device_id="d", device_name="card", **values)  # type: ignore[arg-type]
    assert (event.message(), event.level()) == (f"card {percent} % busy", "DEBUG")


@pytest.mark.parametrize(
    ("action", "severity", "level"),
    [("firing", "page", "ERROR"), ("firing", "ticket", "WARNING"), ("resolved", "page", "INFO")],
)
def test_only_a_firing_page_is_an_error(action: str, severity: str, level: str) -> None:
    event = AlertEvent(at=0.0, action=action, rule_id="r", rule_name="VRAM", severity=severity, reason="84 % used")
    assert (event.message(), event.level()) == (f"alert VRAM {action}: 84 % used", level)


@pytest.mark.parametrize(
    ("regression", "failed", "level"),
    [(None, 0, "INFO"), (False, 0, "INFO"), (True, 0, "WARNING"), (None, 1, "WARNING")],
)
def test_a_benchmark_warns_of_a_regression_and_of_failures(regression: bool | None, failed: int, level: str) -> None:
    event = BenchmarkEvent(
        at=0.0,
        benchmark_id="b",
        completed=4,
        failed=failed,
        output_tokens_per_s=12.34,
        ttft_p50_s=0.2,
        regression=regression,
    )
    assert event.message() == f"benchmark manual: 12.3 tokens/s, TTFT P50 200 ms, {failed} of {4 + failed} failed"
    assert event.level() == level


def test_a_benchmark_without_any_answer_still_has_its_line() -> None:
    assert "0.0 tokens/s" in BenchmarkEvent(at=0.0, benchmark_id="b").message()


@pytest.mark.parametrize(
    ("failed", "line", "level"),
    [(0, "canary: 0.250 s", "DEBUG"), (1, "canary failed: nothing listens there", "WARNING")],
)
def test_a_canary_that_comes_back_is_no_news(failed: int, line: str, level: str) -> None:
    why = "nothing listens there" if failed else None
    event = BenchmarkEvent(
        at=0.0, benchmark_id="c", suite=CANARY, failed=failed, e2e_p50_s=None if failed else 0.25, error_message=why
    )
    assert (event.message(), event.level()) == (line, level)
