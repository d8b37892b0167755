from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmops.bench.compare import baseline_among, compare
from llmops.events import BenchmarkEvent
from llmops.events.names import to_fields

RUN = BenchmarkEvent(
    at=1.0, benchmark_id="now", request_model="demo", concurrency=2, output_tokens_per_s=100.0, ttft_p50_s=0.1
)


def _before(**values: Any) -> dict[str, Any]:
    return to_fields(dataclasses.replace(RUN, benchmark_id="before", **values))


def test_the_first_run_has_nothing_to_be_worse_than() -> None:
    assert compare(RUN, None) == RUN
    assert RUN.regression is None


@pytest.mark.parametrize(
    ("throughput", "ttft", "regression"),
    [
        (100.0, 0.1, False),
        (124.0, 0.1, False),  # 19 % down
        (126.0, 0.1, True),  # 21 % down
        (100.0, 0.067, False),  # 49 % up
        (100.0, 0.066, True),  # 52 % up
        (50.0, 0.2, False),  # better in both
    ],
)
def test_a_fifth_less_throughput_or_a_half_more_ttft_is_a_regression(
    throughput: float, ttft: float, regression: bool
) -> None:
    result = compare(RUN, _before(output_tokens_per_s=throughput, ttft_p50_s=ttft))
    assert result.regression is regression
    assert result.baseline_id == "before"


def test_changes_are_in_per_cent_of_the_run_before() -> None:
    result = compare(RUN, _before(output_tokens_per_s=80.0, ttft_p50_s=0.2))
    assert result.delta_throughput_pct == pytest.approx(25.0)
    assert result.delta_ttft_pct == pytest.approx(-50.0)


@pytest.mark.parametrize(
    "values",
    [
        {"request_model": "other"},
        {"quantization": "nf4"},
        {"concurrency": 8},
        {"version": "2"},
        {"max_tokens": 64},
        {"url": "http://there"},
        {"completed": 4},
        {"failed": 1},
    ],
)
def test_a_run_of_another_model_or_load_is_no_baseline(values: dict[str, Any]) -> None:
    assert compare(RUN, _before(**values)) == RUN


def test_the_newest_run_that_compares_is_the_baseline() -> None:
    runs = [_before(max_tokens=64), _before(max_tokens=32, output_tokens_per_s=50.0), _before(max_tokens=32)]
    assert baseline_among(dataclasses.replace(RUN, max_tokens=32), runs) is runs[1]
    assert baseline_among(RUN, runs) is None


def test_what_failed_counts_as_asked() -> None:
    run = dataclasses.replace(RUN, completed=8)
    assert compare(run, _before(completed=7, failed=1)).baseline_id == "before"


def test_a_run_in_which_nothing_was_answered_is_a_regression_and_no_yardstick() -> None:
    silent = dataclasses.replace(RUN, output_tokens_per_s=0.0, ttft_p50_s=None)
    assert compare(silent, _before()).regression is True
    assert compare(RUN, to_fields(dataclasses.replace(silent, benchmark_id="b"))).regression is False


@given(st.floats(0.1, 1e6), st.floats(0.001, 1e3), st.floats(0.1, 1e6), st.floats(0.001, 1e3))
def test_being_no_worse_is_never_a_regression(rate: float, ttft: float, gain: float, cut: float) -> None:
    better = dataclasses.replace(RUN, output_tokens_per_s=rate + gain, ttft_p50_s=ttft / (1 + cut))
    assert compare(better, _before(output_tokens_per_s=rate, ttft_p50_s=ttft)).regression is False
