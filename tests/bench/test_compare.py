from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmops.bench.compare import baseline_among, compare, differences, unlike_among
from llmops.events import BenchmarkEvent
from llmops.events.names import to_fields
from llmops.shell.bench import verdict

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
        {"model_version": "2"},
        {"dtype": "bfloat16"},
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


EXACT = dataclasses.replace(
    RUN,
    completed=8,
    model_version="v2",
    quantization="none",
    dtype="float32",
    engine="transformers",
    device_name="2 CPU cores",
)


def _exactly(**values: Any) -> dict[str, Any]:
    return to_fields(dataclasses.replace(EXACT, benchmark_id="before", output_tokens_per_s=1000.0, **values))


@pytest.mark.parametrize(
    ("values", "named"),
    [
        ({"model_version": "v1"}, "model version (v1, now v2)"),
        ({"quantization": "nf4"}, "quantization (nf4, now none)"),
        ({"dtype": "bfloat16"}, "dtype (bfloat16, now float32)"),
        ({"engine": "upstream"}, "engine (upstream, now transformers)"),
        ({"device_name": "RTX 4090"}, "device (RTX 4090, now 2 CPU cores)"),
        ({"dtype": None}, "dtype (unknown, now float32)"),
    ],
)
def test_a_run_of_something_else_is_named_and_gives_no_verdict(values: dict[str, Any], named: str) -> None:
    before = _exactly(**values)
    assert compare(EXACT, before) == EXACT
    assert baseline_among(EXACT, [before]) is None
    assert unlike_among(EXACT, [before]) is before
    assert differences(EXACT, before) == [named]
    said = verdict(EXACT, None, before)
    assert named in said
    assert "no verdict on a regression" in said


def test_a_run_of_an_earlier_llmops_without_engine_and_device_still_compares() -> None:
    assert compare(EXACT, _exactly(engine=None, device_name=None)).regression is True


def test_the_verdict_says_what_was_compared_and_what_else_changed() -> None:
    before = _exactly(torch_version="2.9.0")
    result = compare(dataclasses.replace(EXACT, torch_version="2.10.0"), before)
    assert verdict(result, before, None) == (
        "Slower than the run before, beyond noise: output tokens/s -90.0 %, TTFT P50 +0.0 % (limits -20 % and +50 %). "
        "Changed since then: torch (2.9.0, now 2.10.0)."
    )
    calm = compare(EXACT, to_fields(dataclasses.replace(EXACT, benchmark_id="b")))
    assert verdict(calm, {}, None).startswith("No regression against the run before: output tokens/s +0.0 %")
    silent = dataclasses.replace(EXACT, completed=0, failed=8)
    assert verdict(silent, None, None).startswith("No request was answered")
    assert verdict(EXACT, None, None) == "No earlier run of this model and load to compare with."


def test_a_like_run_goes_before_a_newer_one_of_something_else() -> None:
    like, other = _exactly(), _exactly(model_version="v1")
    assert baseline_among(EXACT, [other, like]) is like


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
