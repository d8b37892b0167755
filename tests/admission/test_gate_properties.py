"""Whatever comes in whatever order: the bounds hold, the order is fair, nobody is lost and nobody starves."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TypeVar

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from llmops.admission.bucket import Buckets
from llmops.admission.gate import Gate
from llmops.admission.line import order_of
from llmops.admission.refusals import QueueFull, RateLimited, Refusal
from llmops.admission.ticket import Priority, Ticket
from tests.admission.test_gate import Clock

T = TypeVar("T")
MAX_RUNNING, SPARE_RUNNING, QUEUE_SIZE, SPARE_QUEUE, QUEUE_TOKENS = 3, 2, 5, 2, 500
MOST_TOKENS = 120
USERS = st.sampled_from(["ann", "bo", "cy", "di"])
TOKENS = st.integers(1, MOST_TOKENS)


class GateMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.clock = Clock()
        self.inside: list[Ticket] = []
        self.gone: list[Ticket] = []

    @initialize(cache=st.none() | st.integers(MOST_TOKENS, 600), user_share=st.sampled_from([1.0, 0.7, 0.1]))
    def open(self, cache: int | None, user_share: float) -> None:
        self.share = max(1, int(user_share * MAX_RUNNING)) if user_share < 1 else MAX_RUNNING + SPARE_RUNNING
        self.gate = Gate(
            max_running=MAX_RUNNING,
            queue_size=QUEUE_SIZE,
            spare_running=SPARE_RUNNING,
            spare_queue=SPARE_QUEUE,
            user_share=user_share,
            queue_tokens=QUEUE_TOKENS,
            buckets=Buckets(rate_per_s=1.0, burst=30),
            token_buckets=Buckets(rate_per_s=50.0, burst=3_000),
            clock=self.clock,
        )
        self.gate.cache_tokens = cache

    def on_the_loop(self, act: Callable[[], T]) -> T:
        async def run() -> T:
            return act()

        return self.loop.run_until_complete(run())

    @rule(
        user=USERS,
        tokens=TOKENS,
        priority=st.sampled_from(Priority),
        within_s=st.sampled_from([None, None, None, 5.0, 500.0]),
    )
    def arrive(self, user: str, tokens: int, priority: Priority, within_s: float | None) -> None:
        here = [ticket for ticket in self.inside if ticket.user == user]
        waited, started = self.waiting(), self.started()
        newcomer = not here and priority is not Priority.BENCHMARK
        try:
            ticket = self.on_the_loop(lambda: self.gate.admit(user, tokens, priority, within_s))
        except QueueFull as refused:
            assert refused.retry_after_s is not None
            if newcomer and within_s is None:
                full = len(waited) >= QUEUE_SIZE + SPARE_QUEUE
                assert full or sum(each.tokens for each in waited) + tokens > QUEUE_TOKENS * 1.25
            return
        except RateLimited:
            return
        self.inside.append(ticket)
        if ticket.waiting:
            assert len(waited) < QUEUE_SIZE + SPARE_QUEUE * newcomer
            assert not waited or sum(each.tokens for each in waited) + tokens <= QUEUE_TOKENS * 1.25
        else:
            assert not any(each.waiting for each in started), "memory is given in the order of the slots"

    @rule(index=st.integers(0, 99), tokens=TOKENS)
    def turn_out_otherwise(self, index: int, tokens: int) -> None:
        """Encoded: the size is known, before the turn is awaited."""
        unsized = [ticket for ticket in self.inside if ticket.tokens == ticket.tokens_charged]
        if unsized:
            self.on_the_loop(lambda: unsized[index % len(unsized)].resize(tokens))

    @rule(index=st.integers(0, 99), used=TOKENS)
    def leave(self, index: int, used: int) -> None:
        if self.inside:
            ticket = self.inside.pop(index % len(self.inside))
            self.on_the_loop(lambda: ticket.leave(used))
            self.gone.append(ticket)

    @rule(index=st.integers(0, 99))
    def leave_again(self, index: int) -> None:
        if self.gone:
            before = self.gate.running, self.gate.waiting
            self.on_the_loop(self.gone[index % len(self.gone)].leave)
            self.on_the_loop(lambda: self.gone[index % len(self.gone)].resize(1))
            assert (self.gate.running, self.gate.waiting) == before

    @rule(seconds=st.floats(0, 100))
    def time_passes(self, seconds: float) -> None:
        self.clock.now += seconds

    @rule(cache=st.none() | st.integers(MOST_TOKENS, 600))
    def the_engine_comes_back_with_another_cache(self, cache: int | None) -> None:
        if not self.inside:
            self.gate.cache_tokens = cache

    @invariant()
    def the_bounds_hold(self) -> None:
        active = [ticket for ticket in self.started() if not ticket.waiting]
        assert self.gate.running == len(self.started()) <= MAX_RUNNING + SPARE_RUNNING
        assert self.gate.waiting == len(self.waiting()) <= QUEUE_SIZE + SPARE_QUEUE
        assert self.gate.waiting_tokens == sum(ticket.tokens for ticket in self.waiting())
        assert self.gate.running_tokens == sum(ticket.tokens for ticket in active)
        fits = self.gate.cache_tokens is None or self.gate.running_tokens <= self.gate.cache_tokens
        assert fits or len(active) == 1
        assert sum(not ticket.is_spare for ticket in self.started()) <= MAX_RUNNING
        assert not any(ticket.is_spare and ticket.priority is Priority.BENCHMARK for ticket in self.started())

    @invariant()
    def something_runs_while_something_waits(self) -> None:
        if any(ticket.waiting for ticket in self.inside):
            assert any(not ticket.waiting for ticket in self.inside)

    @invariant()
    def whoever_could_run_runs(self) -> None:
        started, waiting = self.started(), self.waiting()
        if not waiting or any(ticket.waiting for ticket in started):
            return
        running = {user: sum(each.user == user for each in started) for user in ("ann", "bo", "cy", "di")}
        if any(running[ticket.user] >= self.share for ticket in waiting):
            return  # held back beside somebody who is here, or was until the last one came or went
        plain = sum(not each.is_spare for each in started) < MAX_RUNNING
        spare = len(started) - sum(not each.is_spare for each in started) < SPARE_RUNNING

        def may_go(ticket: Ticket) -> bool:
            # Who has a share already waits where somebody else is here, or was until the last one came or went.
            return (plain and running[ticket.user] < self.share) or (
                spare and not running[ticket.user] and ticket.priority is not Priority.BENCHMARK
            )

        # Patience may have brought another to the front since the last one came or went; of these, none was overlooked.
        can = [ticket for ticket in waiting if may_go(ticket)]
        if can and self.gate.cache_tokens is not None:
            first = min(can, key=lambda each: order_of(each, self.clock.now, running[each.user]))
            moved = any(each.since < self.clock.now for each in can)
            assert moved or self.gate.running_tokens + first.tokens > self.gate.cache_tokens
        else:
            assert not can

    def started(self) -> list[Ticket]:
        return [ticket for ticket in self.inside if ticket.entered_at is not None]

    def waiting(self) -> list[Ticket]:
        return [ticket for ticket in self.inside if ticket.entered_at is None]

    def teardown(self) -> None:
        for ticket in self.inside:
            self.on_the_loop(ticket.leave)
        self.inside.clear()
        if hasattr(self, "gate"):
            assert (self.gate.running, self.gate.waiting) == (0, 0)
            assert (self.gate.running_tokens, self.gate.waiting_tokens) == (0, 0)
        self.loop.close()


GateMachine.TestCase.settings = settings(max_examples=200, stateful_step_count=50, deadline=None)
TestGateMachine = GateMachine.TestCase


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data(), priority=st.sampled_from(Priority), tokens=TOKENS)
def test_nobody_starves_whoever_else_keeps_coming(data: st.DataObject, priority: Priority, tokens: int) -> None:
    """One waits while others, always newcomers, come without end and one of the running ends in each round."""

    async def play() -> None:
        clock = Clock()
        gate = Gate(
            max_running=2,
            queue_size=8,
            spare_running=1,
            spare_queue=4,
            buckets=Buckets(rate_per_s=1.0, burst=10_000),
            clock=clock,
        )
        gate.cache_tokens = 200
        inside = [gate.admit("greedy", 60) for _ in range(8)]
        patient = gate.admit("greedy" if data.draw(st.booleans()) else "patient", tokens, priority)
        for round_ in range(150):
            for each in range(data.draw(st.integers(0, 3))):
                try:
                    inside.append(gate.admit(f"{round_}-{each}", data.draw(TOKENS)))
                except Refusal:
                    break
            clock.now += 3.0
            running = [ticket for ticket in inside if not ticket.waiting]
            inside.remove(ending := running[data.draw(st.integers(0, len(running) - 1)) if round_ % 3 else 0])
            ending.leave()
            if not patient.waiting:
                return
            inside += [gate.admit("greedy", 60)] if len(inside) < 6 else []
        pytest.fail(f"150 ended, and it still waits behind {gate.running} and {gate.waiting}")

    asyncio.run(play())
