"""The histogram keeps its promise of 1 %, and it does not matter in which order or parts it is put together."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmops.store.answers import percentiles
from llmops.store.sketch import RELATIVE_ERROR, ZERO_BELOW, BadSketch, Sketch, bucket_of, merged, middle_of

durations = st.one_of(st.floats(0, 400), st.floats(ZERO_BELOW, 1e300), st.sampled_from([0.0, 1.0, 2.0, 3.0, 0.125]))
values = st.lists(durations, max_size=60)
scales = st.integers(0, 6)


def merge(*sketches: Sketch) -> Sketch:
    whole = Sketch(scale=sketches[0].scale)
    for each in sketches:
        whole.merge(each)
    return whole


@given(values.filter(bool))
def test_every_percentile_is_within_one_percent_of_the_nearest_rank(seen: list[float]) -> None:
    exact = percentiles(seen)
    found = Sketch(seen).quantiles(50, 95, 99)
    assert RELATIVE_ERROR < 0.01
    for near, true in zip(found, (exact.p50, exact.p95, exact.p99), strict=True):
        assert near == pytest.approx(true, rel=RELATIVE_ERROR * (1 + 1e-9), abs=ZERO_BELOW)


@given(durations.filter(lambda value: value > ZERO_BELOW))
def test_a_value_lies_in_its_bucket(value: float) -> None:
    index = bucket_of(value)
    base = 2 ** (1 / 64)
    assert base**index < value * (1 + 1e-9)
    assert value <= base ** (index + 1) * (1 + 1e-9)
    assert middle_of(index) == pytest.approx(value, rel=RELATIVE_ERROR * (1 + 1e-6))


@given(values, values)
def test_the_sum_of_two_is_the_histogram_of_both(one: list[float], other: list[float]) -> None:
    assert merge(Sketch(one), Sketch(other)) == Sketch(one + other)


@given(values, values, values, scales, scales, scales)
def test_sums_of_any_scales_are_the_same_in_any_order(
    a: list[float], b: list[float], c: list[float], x: int, y: int, z: int
) -> None:
    one, two, three = Sketch(a, scale=x), Sketch(b, scale=y), Sketch(c, scale=z)
    assert merge(merge(one, two), three) == merge(one, merge(two, three))
    assert merge(one, two, three) == merge(three, one, two)
    assert merge(one, two, three).scale == min(x, y, z)


@given(values, scales)
def test_it_comes_back_from_its_bytes_as_it_was(seen: list[float], scale: int) -> None:
    made = Sketch(seen, scale=scale)
    assert Sketch.from_bytes(made.to_bytes()) == made
    assert merged([made.to_bytes(), None, made.to_bytes(), b""]) == merge(Sketch(), made, made)


@pytest.mark.parametrize("count", [1, 255, 256, 70_000, 1 << 33])
def test_counts_of_every_width_are_kept(count: int) -> None:
    made = Sketch([1.0, 1.5, 2.0])
    made.buckets[bucket_of(1.5)] = count
    assert Sketch.from_bytes(made.to_bytes()).buckets[bucket_of(1.5)] == count


def test_close_values_are_written_densely_and_far_ones_sparsely() -> None:
    assert len(Sketch(1 + n / 100 for n in range(200)).to_bytes()) < 150
    assert len(Sketch([1e-9 * 2, 1e300]).to_bytes()) < 50


@pytest.mark.parametrize("written", [b"", b"x", b"B" + bytes(12), b"H" + bytes(14), b"s" + bytes(20), bytes(30)])
def test_bytes_that_are_no_histogram_are_refused(written: bytes) -> None:
    with pytest.raises(BadSketch):
        Sketch.from_bytes(written)


def test_what_is_no_duration_counts_as_zero_or_not_at_all() -> None:
    made = Sketch([-1.0, 0.0, math.nan, math.inf, -math.inf])
    assert (made.count, made.zeros, made.quantiles(50)) == (3, 3, [0.0])
    assert Sketch().quantiles(50, 99) == [None, None]
    assert made != "text"
    assert repr(Sketch([1.0])) == "Sketch(scale=6, zeros=0, buckets={-1: 1})"


@given(values, st.floats(0.01, 300))
def test_values_above_a_threshold_are_counted_but_for_its_own_bucket(seen: list[float], threshold: float) -> None:
    true = sum(value > threshold for value in seen)
    unsure = sum(bucket_of(value) == bucket_of(threshold) for value in seen if value > ZERO_BELOW)
    assert abs(Sketch(seen).above(threshold) - true) <= unsure
