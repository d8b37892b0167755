from __future__ import annotations

import asyncio

import pytest

from llmops.inference.deadline import Deadline


def soon(after_s: float = 0.01) -> Deadline:
    return Deadline(asyncio.get_running_loop().time() + after_s)


async def hold(deadline: Deadline, for_s: float = 60.0) -> None:
    with deadline:
        await asyncio.sleep(for_s)


async def test_a_wait_that_is_too_long_ends() -> None:
    deadline = soon()
    with pytest.raises(TimeoutError), deadline:
        await asyncio.sleep(60)
    task = asyncio.current_task()
    assert task is not None
    assert task.cancelling() == 0, "whoever waits next is not cancelled"
    await asyncio.sleep(0)


async def test_between_waits_nothing_is_ended_and_the_next_one_ends_at_once() -> None:
    deadline = soon()
    with deadline:
        await asyncio.sleep(0)
    await asyncio.sleep(0.03)
    with pytest.raises(TimeoutError), deadline:
        pytest.fail("it has passed")


async def test_waits_may_be_of_different_tasks() -> None:
    deadline = soon()

    await asyncio.create_task(hold(deadline, 0))
    with pytest.raises(TimeoutError):
        await asyncio.create_task(hold(deadline))


async def test_somebody_elses_cancellation_stays_one() -> None:
    deadline = soon(60)

    task = asyncio.create_task(hold(deadline))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    deadline.close()


async def test_a_cancellation_at_the_same_moment_wins() -> None:
    deadline = soon(0)

    task = asyncio.create_task(hold(deadline))
    await asyncio.sleep(0)
    task.cancel()
    deadline._pass()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_another_error_stays_what_it_is() -> None:
    deadline = soon(60)
    with pytest.raises(ValueError, match="mine"), deadline:
        raise ValueError("mine")
    deadline.close()


async def test_closed_it_passes_no_more() -> None:
    deadline = soon()
    deadline.close()
    with deadline:
        await asyncio.sleep(0.03)
