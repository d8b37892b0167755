"""Spare slots and places, priorities, memory, tokens and deadlines, each on its own."""

from __future__ import annotations

import pytest

from llmops.admission.bucket import Buckets
from llmops.admission.gate import COMPANY_S, Gate
from llmops.admission.line import PATIENCE_S
from llmops.admission.refusals import QueueFull, RateLimited
from llmops.admission.ticket import Priority, Ticket
from tests.admission.test_gate import Clock


def gate_of(
    max_running: int = 2,
    queue_size: int = 4,
    clock: Clock | None = None,
    cache_tokens: int | None = None,
    user_share: float | None = None,
    **more: int,
) -> Gate:
    per_minute = more.pop("tokens_per_minute", None)
    gate = Gate(
        max_running=max_running,
        queue_size=queue_size,
        buckets=Buckets(rate_per_s=1.0, burst=1000),
        token_buckets=None if per_minute is None else Buckets(rate_per_s=per_minute / 60, burst=per_minute),
        clock=clock or Clock(),
        user_share=user_share,
        **more,
    )
    gate.cache_tokens = cache_tokens
    return gate


def fill(gate: Gate, count: int, user: str = "greedy") -> list[Ticket]:
    return [gate.admit(user) for _ in range(count)]


async def test_one_user_alone_gets_every_slot_and_every_place_and_no_spare_one() -> None:
    gate = gate_of(spare_running=2, spare_queue=2)
    fill(gate, 6)
    with pytest.raises(QueueFull, match="4 of 4 requests wait"):
        gate.admit("greedy")
    assert (gate.running, gate.waiting) == (2, 4)


async def test_a_greedy_user_locks_nobody_out() -> None:
    gate = gate_of(spare_running=1, spare_queue=2)
    fill(gate, 6)
    assert not gate.admit("ann").waiting, "a spare slot"
    newcomers = [gate.admit(user) for user in ("bo", "cy")]
    assert [ticket.waiting for ticket in newcomers] == [True, True], "spare places"
    with pytest.raises(QueueFull):
        gate.admit("di")
    with pytest.raises(QueueFull):
        gate.admit("bo")


async def test_beside_somebody_who_asks_for_little_a_greedy_user_keeps_to_a_share() -> None:
    clock = Clock()
    gate = gate_of(max_running=4, queue_size=20, clock=clock, user_share=0.5)
    running = fill(gate, 9)
    running[0].leave()
    assert gate.running == 4, "alone it has them all"
    running[1].leave()
    polite = gate.admit("polite")
    for ticket in running[2:5]:
        ticket.leave()
    assert (gate.running, polite.waiting) == (2 + 1, False)
    polite.leave()
    running[5].leave()
    assert gate.running == 2, "whoever left a moment ago may come back"
    clock.now += COMPANY_S + 1
    running[6].leave()
    assert gate.running == 2, "nobody else is here now: all that wait run"
    assert gate.waiting == 0


async def test_two_who_ask_for_much_share_every_slot() -> None:
    gate = gate_of(max_running=4, queue_size=20, user_share=0.5)
    first = fill(gate, 6)
    second = fill(gate, 6, "too")
    for ticket in first[:4]:
        ticket.leave()
    assert gate.running == 4
    assert sum(not ticket.waiting for ticket in second) == 2


async def test_without_a_dial_the_engine_says_what_is_fair() -> None:
    gate = gate_of(max_running=4, queue_size=20)
    gate.admit("polite")
    fill(gate, 4)
    assert gate.running == 4, "nothing is known of the engine: nobody is held back"
    gate.fair_share = 0.5
    fill(gate, 2)
    assert (gate.running, gate.waiting) == (4, 3)


async def test_a_measurement_is_nobodys_company() -> None:
    gate = gate_of(max_running=4, queue_size=20, user_share=0.25)
    gate.admit("bench", 0, Priority.BENCHMARK)
    fill(gate, 3)
    assert gate.running == 4


async def test_a_slot_goes_to_the_user_with_the_fewest_running_then_to_the_longest_waiting() -> None:
    gate = gate_of(max_running=3, queue_size=9)
    first, second, third, fourth, _ = fill(gate, 5)
    bo, ann, ann_again = gate.admit("bo"), gate.admit("ann"), gate.admit("ann")
    first.leave()
    assert not bo.waiting
    second.leave()
    assert (ann.waiting, ann_again.waiting) == (False, True)
    third.leave()
    assert (fourth.waiting, ann_again.waiting) == (False, True), "who was greedy has nothing running now"


async def test_people_go_first_then_summaries_then_benchmarks() -> None:
    gate = gate_of(max_running=1, queue_size=9)
    running = gate.admit("a")
    waiting = {priority: gate.admit("b", 0, priority) for priority in sorted(Priority, reverse=True)}
    for priority in Priority:
        running.leave()
        assert [each.waiting for each in waiting.values()].count(False) == priority + 1
        running = waiting[priority]
        assert not running.waiting


async def test_a_benchmark_that_waited_long_enough_goes_like_anybody() -> None:
    clock = Clock()
    gate = gate_of(max_running=1, queue_size=9, clock=clock)
    running = gate.admit("a")
    measurement = gate.admit("bench", 0, Priority.BENCHMARK)
    clock.now += 2 * PATIENCE_S
    person = gate.admit("b")
    running.leave()
    assert (measurement.waiting, person.waiting) == (False, True)


async def test_benchmarks_take_no_spare_slot_and_half_of_the_queue() -> None:
    gate = gate_of(spare_running=2, spare_queue=2)
    fill(gate, 2)
    assert gate.admit("bench", 0, Priority.BENCHMARK).waiting
    gate.admit("bench", 0, Priority.BENCHMARK)
    with pytest.raises(QueueFull, match="Benchmarks may fill half"):
        gate.admit("other bench", 0, Priority.BENCHMARK)
    assert gate.admit("greedy").waiting


async def test_tokens_bound_the_queue_too_but_one_request_may_always_wait() -> None:
    gate = gate_of(max_running=1, queue_size=9, spare_queue=1, queue_tokens=100)
    gate.admit("a", 10)
    huge = gate.admit("a", 500)
    with pytest.raises(QueueFull, match="500 of 100 tokens wait, and this request has 1"):
        gate.admit("a", 1)
    huge.leave()
    gate.admit("a", 100)
    with pytest.raises(QueueFull):
        gate.admit("a", 1)
    gate.admit("newcomer", 25)
    assert gate.waiting_tokens == 125


async def test_a_request_that_does_not_fit_the_cache_waits_while_a_slot_is_free_and_is_not_overtaken() -> None:
    gate = gate_of(max_running=9, queue_size=9, cache_tokens=100)
    first = gate.admit("a", 70)
    large, small = gate.admit("b", 60), gate.admit("c", 10)
    assert (large.waiting, small.waiting, gate.running_tokens) == (True, True, 70)
    first.leave()
    assert (large.waiting, small.waiting, gate.running_tokens) == (False, False, 70)


async def test_who_is_before_the_one_that_does_not_fit_may_pass_it() -> None:
    gate = gate_of(max_running=9, queue_size=9, cache_tokens=100)
    gate.admit("a", 70)
    large = gate.admit("bench", 60, Priority.BENCHMARK)
    assert not gate.admit("b", 10).waiting
    assert large.waiting


async def test_one_that_leaves_the_queue_makes_way_for_the_small_one_behind_it() -> None:
    gate = gate_of(max_running=9, queue_size=9, cache_tokens=100)
    gate.admit("a", 70)
    large, small = gate.admit("b", 60), gate.admit("c", 10)
    large.leave()
    assert not small.waiting


async def test_one_that_turns_out_larger_keeps_its_slot_and_waits_for_memory() -> None:
    gate = gate_of(max_running=9, queue_size=9, cache_tokens=100)
    first, second, third = gate.admit("a", 40), gate.admit("b", 40), gate.admit("c", 10)
    second.resize(80)
    assert (second.waiting, gate.running, gate.running_tokens) == (True, 3, 50)
    assert gate.admit("d", 10).waiting, "memory is given in the order of the slots"
    third.leave()
    second.resize(55)
    assert not second.waiting
    assert gate.running_tokens == 95
    first.leave()
    assert (gate.running, gate.waiting, gate.running_tokens) == (2, 0, 65)


async def test_one_that_leaves_while_it_waits_for_memory_takes_nothing_with_it() -> None:
    gate = gate_of(cache_tokens=100)
    first, second = gate.admit("a", 40), gate.admit("b", 40)
    second.resize(80)
    second.leave()
    second.resize(1)
    first.leave()
    assert (gate.running, gate.running_tokens) == (0, 0)


async def test_alone_everything_may_try_so_that_nothing_waits_for_what_never_comes() -> None:
    gate = gate_of(cache_tokens=100)
    assert not gate.admit("a", 1000).waiting


async def test_a_wait_longer_than_the_deadline_is_refused_at_once() -> None:
    clock = Clock()
    gate = gate_of(max_running=1, queue_size=9, clock=clock)
    first = gate.admit("a")
    gate.admit("a", within_s=0.001)
    clock.now += 40
    first.leave()
    gate.admit("a", within_s=41)
    with pytest.raises(QueueFull, match="The wait would be about 80 s, longer than the 79 s"):
        gate.admit("a", within_s=79)
    assert gate.admit("a", within_s=81).queue_depth == 1


async def test_tokens_are_charged_by_estimate_and_settled_by_what_was_used() -> None:
    gate = gate_of(max_running=9, tokens_per_minute=600)
    first = gate.admit("a", 500)
    with pytest.raises(RateLimited, match="Too many tokens") as refused:
        gate.admit("a", 200)
    assert refused.value.retry_after_s == 10
    gate.admit("b", 200)
    first.leave(used_tokens=50)
    gate.admit("a", 550).leave(used_tokens=550)
    with pytest.raises(RateLimited):
        gate.admit("a", 1)


async def test_a_refusal_costs_neither_a_request_nor_tokens() -> None:
    clock = Clock()
    gate = Gate(
        max_running=9,
        queue_size=0,
        buckets=Buckets(rate_per_s=0.001, burst=2),
        token_buckets=Buckets(rate_per_s=0.001, burst=100),
        clock=clock,
    )
    gate.admit("a", 90)
    for _ in range(5):
        with pytest.raises(RateLimited, match="tokens"):
            gate.admit("a", 20)
    gate.admit("a", 10)
    with pytest.raises(RateLimited, match="requests"):
        gate.admit("a", 0)


async def test_one_that_waits_and_turns_out_smaller_may_go_at_once() -> None:
    gate = gate_of(max_running=9, queue_size=9, cache_tokens=100)
    gate.admit("a", 70)
    waiting = gate.admit("b", 60)
    waiting.resize(20)
    assert (waiting.waiting, gate.waiting_tokens, gate.running_tokens) == (False, 0, 90)


async def test_one_that_waits_for_memory_and_turns_out_smaller_again_is_still_one() -> None:
    gate = gate_of(max_running=9, queue_size=9, cache_tokens=100)
    gate.admit("a", 70)
    second = gate.admit("b", 20)
    second.resize(90)
    second.resize(50)
    assert (second.waiting, gate.running, gate.running_tokens) == (True, 2, 70)


async def test_a_backlog_gains_nothing_by_being_old() -> None:
    clock = Clock()
    gate = gate_of(max_running=2, queue_size=9, clock=clock)
    first, *_, backlog = fill(gate, 4)
    clock.now += 5 * PATIENCE_S
    newcomer = gate.admit("ann")
    first.leave()
    assert (newcomer.waiting, backlog.waiting) == (False, True)
