"""A bucket gives what it holds, says when to come back, and takes debts."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmops.admission.bucket import Buckets


def take(buckets: Buckets, user: str, now: float) -> float:
    wait_s = buckets.wait_s(user, now)
    if wait_s == 0.0:
        buckets.spend(user, now)
    return wait_s


@given(st.lists(st.floats(0, 3), max_size=60))
def test_a_bucket_never_gives_more_than_burst_plus_rate(pauses: list[float]) -> None:
    buckets, now, given_out = Buckets(rate_per_s=2.0, burst=5), 0.0, 0
    for pause in pauses:
        now += pause
        given_out += take(buckets, "a", now) == 0.0
        assert given_out <= 5 + 2.0 * now + 1e-6


def test_a_bucket_says_exactly_when_to_come_back() -> None:
    buckets = Buckets(rate_per_s=0.5, burst=1)
    assert take(buckets, "a", 0.0) == 0.0
    assert take(buckets, "a", 0.0) == 2.0
    assert take(buckets, "a", 2.0) == 0.0
    assert take(buckets, "a", 1.0) > 0, "a clock that steps back gives nothing away"


def test_only_so_many_users_are_remembered() -> None:
    buckets = Buckets(rate_per_s=0.001, burst=1, max_users=2)
    for user in ("a", "b", "c"):
        assert take(buckets, user, 0.0) == 0.0
    assert take(buckets, "a", 0.0) == 0.0
    assert take(buckets, "c", 0.0) > 0


def test_what_was_not_used_is_given_back_and_never_more_than_a_full_bucket() -> None:
    tokens = Buckets(rate_per_s=1.0, burst=100)
    tokens.spend("a", 0.0, 90)
    assert tokens.wait_s("a", 0.0, 40) == 30.0
    tokens.spend("a", 0.0, -60)
    assert tokens.wait_s("a", 0.0, 70) == 0.0
    tokens.spend("a", 0.0, -1e9)
    assert tokens.wait_s("a", 0.0, 100) == 0.0
    tokens.spend("a", 0.0, 100)
    assert tokens.wait_s("a", 0.0, 1) == 1.0


def test_what_is_larger_than_the_bucket_passes_when_it_is_full_and_leaves_a_debt() -> None:
    tokens = Buckets(rate_per_s=1.0, burst=100)
    assert tokens.wait_s("a", 0.0, 1000) == 0.0
    tokens.spend("a", 0.0, 1000)
    assert tokens.wait_s("a", 0.0, 1) == pytest.approx(901.0)
