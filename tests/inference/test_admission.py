"""What the route tells the gate: how large a request is, before and after it is encoded, and what it used."""

from __future__ import annotations

import asyncio
import dataclasses
import itertools
import time

import pytest

from llmops.admission.bucket import Buckets
from llmops.admission.gate import Gate
from llmops.admission.refusals import DeadlinePassed, QueueFull, RateLimited
from llmops.admission.ticket import Priority
from llmops.engine.contract import Message, ModelCard
from llmops.engine.dials import EchoDials
from llmops.engine.echo import EchoEngine
from llmops.events import Event, RequestEvent
from llmops.inference.exchange import Arrival, Ask, Exchange
from llmops.inference.meter import TokenMeter
from llmops.inference.route import Inference


class SmallCache(EchoEngine):
    """As an engine whose cache holds 100 tokens."""

    @property
    def card(self) -> ModelCard:
        return dataclasses.replace(super().card, cache_tokens=100)


class Road:
    """An Inference over a gate, without HTTP."""

    def __init__(self, *, tokens_per_minute: int = 1_000_000, queue_size: int = 9) -> None:
        self.engine = SmallCache(EchoDials(tokens_per_s=0, ttft_s=0.02))
        self.gate = Gate(
            max_running=9,
            queue_size=queue_size,
            buckets=Buckets(rate_per_s=1e6, burst=1e6),
            token_buckets=Buckets(rate_per_s=tokens_per_minute / 60, burst=tokens_per_minute),
            clock=time.monotonic,
        )
        self.events: list[Event] = []
        names = itertools.count()
        self.inference = Inference(
            self.engine,
            self.gate,
            self.events.append,
            meter=TokenMeter(),
            user_key=b"key",
            default_max_tokens=50,
            new_id=lambda: str(next(names)),
        )

    def arrive(self, age_s: float = 0.0) -> Exchange:
        return self.inference.arrive(
            Arrival(at=time.time(), clock_s=time.monotonic() - age_s, request_id="r", path="/", user="ann")
        )

    async def ask(self, text: str, max_tokens: int | None = None) -> Exchange:
        exchange = self.arrive()
        try:
            ask = Ask(prompt=[Message("user", text)], max_tokens=max_tokens)
            with self.inference.admit(exchange, ask) as admitted:
                generation = await self.inference.prepare(admitted)
                async for _ in self.inference.generate(admitted, generation):
                    assert self.gate.running_tokens <= 100
        finally:
            exchange.close()
        return exchange


async def test_what_runs_at_once_fits_the_cache_whatever_was_estimated() -> None:
    road = Road()
    await road.engine.start()
    # 3 characters a token here, so that each estimate of 4 is too low
    done = await asyncio.gather(*(road.ask("ab " * 10, max_tokens=20) for _ in range(8)))
    assert all(exchange.output_tokens for exchange in done)
    assert (road.gate.running, road.gate.running_tokens) == (0, 0)
    waited = sum(event.queue_s > 0.015 for event in road.events if isinstance(event, RequestEvent) and event.queue_s)
    assert waited >= 5, "two at a time fit"


async def test_tokens_are_settled_with_what_was_read_and_written() -> None:
    road = Road(tokens_per_minute=60)
    await road.engine.start()
    used = (await road.ask("a b", max_tokens=40)).used_tokens
    assert 5 <= used <= 12
    await road.ask("a b", max_tokens=60 - used - 12)
    with pytest.raises(RateLimited, match="tokens"):
        await road.ask("a b", max_tokens=55)


async def test_one_that_never_ran_pays_nothing() -> None:
    road = Road(tokens_per_minute=60)
    await road.engine.start()
    for _ in range(5):
        with road.inference.admit(road.arrive(), Ask(prompt="a b", max_tokens=50)) as admitted:
            await road.inference.prepare(admitted)


async def test_the_slot_is_free_before_the_answer_has_ended() -> None:
    road = Road()
    await road.engine.start()
    with road.inference.admit(road.arrive(), Ask(prompt="a b")) as admitted:
        generation = await road.inference.prepare(admitted)
        assert [piece async for piece in road.inference.generate(admitted, generation)]
        assert road.gate.running == 0


async def test_a_request_whose_deadline_has_passed_is_not_admitted() -> None:
    road = Road()
    await road.engine.start()
    exchange = road.arrive(age_s=2.0)
    road.inference.rank(exchange, Priority.INTERACTIVE, 1.0)
    with pytest.raises(DeadlinePassed, match="longer than 1 s"):
        road.inference.admit(exchange, Ask(prompt="a b"))
    road.inference.rank(exchange, Priority.INTERACTIVE, 3.0)
    road.inference.admit(exchange, Ask(prompt="a b")).ticket.leave()


async def test_a_wait_that_would_pass_the_deadline_is_refused_at_once() -> None:
    road = Road()
    await road.engine.start()
    await road.ask("a b")
    first = road.inference.admit(road.arrive(), Ask(prompt="a b", max_tokens=90))
    exchange = road.arrive()
    road.inference.rank(exchange, Priority.INTERACTIVE, 0.015)
    with pytest.raises(QueueFull, match="The wait would be about"):
        road.inference.admit(exchange, Ask(prompt="a b", max_tokens=90))
    first.ticket.leave()
