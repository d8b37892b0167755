"""The gate admits, queues in order, refuses at once, and loses nobody."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmops.admission.bucket import Buckets
from llmops.admission.gate import COMPANY_S, CROWDED_S, Gate
from llmops.admission.refusals import Draining, QueueFull, RateLimited, Refusal
from llmops.admission.ticket import Ticket


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def gate_of(max_running: int = 1, queue_size: int = 1, burst: int = 1000, clock: Clock | None = None) -> Gate:
    buckets = Buckets(rate_per_s=1.0, burst=burst)
    return Gate(max_running=max_running, queue_size=queue_size, buckets=buckets, clock=clock or Clock())


async def test_a_free_slot_is_given_at_once_and_the_next_waits() -> None:
    gate = gate_of()
    first, second = gate.admit("a"), gate.admit("a")
    await first.turn()
    assert (gate.running, gate.waiting, first.waiting, second.waiting) == (1, 1, False, True)
    first.leave()
    await second.turn()
    assert (gate.running, gate.waiting) == (1, 0)
    second.leave()
    second.leave()
    assert gate.running == 0


async def test_a_full_queue_refuses_and_takes_no_token() -> None:
    clock = Clock()
    gate = gate_of(burst=3, clock=clock)
    tickets = [gate.admit("a"), gate.admit("a")]
    for _ in range(5):
        with pytest.raises(QueueFull) as refused:
            gate.admit("a")
        assert refused.value.retry_after_s == 1
    clock.now += 50
    tickets[0].leave()
    await tickets[1].turn()
    gate.admit("a")
    with pytest.raises(QueueFull) as refused:
        gate.admit("a")
    assert refused.value.retry_after_s == 50, "one slot was held for 50 s"


async def test_a_house_is_crowded_for_a_moment_after_it_turned_somebody_away() -> None:
    clock = Clock()
    gate = gate_of(clock=clock, burst=3)
    gate.admit("a"), gate.admit("a")
    assert not gate.is_crowded  # full, but nobody was turned away
    with pytest.raises(QueueFull):
        gate.admit("a")
    assert gate.is_crowded
    clock.now += CROWDED_S
    assert not gate.is_crowded


async def test_who_has_no_time_to_wait_makes_no_crowd() -> None:
    gate = gate_of(queue_size=5)
    gate.admit("a").leave()  # so that it knows how long a slot is held
    gate.admit("a"), gate.admit("a")
    with pytest.raises(QueueFull):
        gate.admit("a", within_s=-1.0)
    assert not gate.is_crowded


async def test_tokens_that_find_no_room_make_a_crowd() -> None:
    buckets = Buckets(rate_per_s=1.0, burst=1000)
    gate = Gate(max_running=1, queue_size=9, buckets=buckets, clock=Clock(), queue_tokens=10)
    gate.admit("a", 5), gate.admit("a", 10)
    with pytest.raises(QueueFull):
        gate.admit("a", 1)
    assert gate.is_crowded


async def test_who_spends_too_much_makes_no_crowd() -> None:
    gate = gate_of(max_running=5, burst=1)
    gate.admit("a")
    with pytest.raises(RateLimited):
        gate.admit("a")
    assert not gate.is_crowded


async def test_an_empty_bucket_refuses_one_user_only() -> None:
    gate = gate_of(max_running=9, burst=1)
    gate.admit("a")
    with pytest.raises(RateLimited) as refused:
        gate.admit("a")
    assert refused.value.retry_after_s == 1
    gate.admit("b")


async def test_draining_refuses_everything_new() -> None:
    gate = gate_of()
    gate.admit("a")
    gate.drain()
    with pytest.raises(Draining):
        gate.admit("a")
    assert (gate.draining, gate.running) == (True, 1)


async def test_who_was_here_long_ago_is_not_remembered() -> None:
    clock = Clock()
    gate = gate_of(max_running=2, queue_size=9, clock=clock)
    gate.fair_share = 0.5
    gate.admit("greedy")
    for number in range(50):
        clock.now += 1.0
        gate.admit(f"guest {number}").leave()
    assert gate.admit("greedy").waiting, "beside guests it keeps to its share"
    assert len(gate._seen_at) <= COMPANY_S + 2
    clock.now += COMPANY_S + 1
    assert not gate.admit("guest").waiting


async def test_a_waiter_that_is_cancelled_leaves_the_queue() -> None:
    gate = gate_of(queue_size=2)
    first, second, third = gate.admit("a"), gate.admit("a"), gate.admit("a")
    waiting = asyncio.create_task(second.turn())
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    second.leave()
    first.leave()
    await third.turn()
    assert (gate.running, gate.waiting) == (1, 0)


async def test_a_turn_given_to_one_that_was_just_cancelled_is_passed_on() -> None:
    gate = gate_of(queue_size=2)
    first, second, third = gate.admit("a"), gate.admit("a"), gate.admit("a")
    waiting = asyncio.create_task(second.turn())
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    first.leave()
    second.leave()
    await third.turn()
    assert (gate.running, gate.waiting) == (1, 0)


@given(st.lists(st.tuples(st.sampled_from(["enter", "leave"]), st.integers(0, 50)), max_size=80))
def test_never_more_than_allowed_run_or_wait_and_order_is_kept(steps: list[tuple[str, int]]) -> None:
    async def play() -> None:
        gate = gate_of(max_running=3, queue_size=4)
        inside: list[Ticket] = []
        for step, index in steps:
            if step == "enter":
                try:
                    inside.append(gate.admit("a"))
                except Refusal:
                    assert gate.running == 3
                    assert gate.waiting == 4
            elif inside:
                inside.pop(index % len(inside)).leave()
            assert gate.running == min(3, len(inside))
            assert gate.waiting == max(0, len(inside) - 3)
            assert [ticket.waiting for ticket in inside] == sorted(ticket.waiting for ticket in inside)

    asyncio.run(play())


def test_retry_after_is_whole_seconds_within_what_clients_obey() -> None:
    assert Refusal("x", 0.01).retry_after_s == 1
    assert Refusal("x", 1e9).retry_after_s == 120
    assert Refusal("x").retry_after_s is None
