"""What can go wrong inside the loop's thread, made to go wrong; and what must be as before afterwards."""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Callable
from typing import Any

import torch

from llmops.engine.batching import BatchLoop
from llmops.engine.live_loop import LiveLoop
from llmops.engine.transformers_engine import TransformersEngine
from tests.engine.answers import until


def live_of(engine: TransformersEngine) -> LiveLoop:
    live = engine._here()[1]
    assert isinstance(live, LiveLoop)
    return live


def batch_of(engine: TransformersEngine) -> BatchLoop:
    batch = live_of(engine)._batch
    assert batch is not None
    return batch


def model_of(engine: TransformersEngine) -> Any:
    return engine._here()[0].model


def fail_forward(engine: TransformersEngine, error: Exception, times: int = 1) -> Any:
    """The next `times` forward passes raise. Returns the hook's handle."""
    left = [times]

    def before(*_: object) -> None:
        if left[0] > 0:
            left[0] -= 1
            raise error

    return model_of(engine).register_forward_pre_hook(before)


def spoil_logits(engine: TransformersEngine, row: Callable[[int], bool], value: float = float("nan")) -> Any:
    """Rows that draw a token at a position that `row` holds true of get `value` for logits. Returns the hook."""

    def after(_: object, __: object, kwargs: dict[str, Any], output: Any) -> None:
        positions = kwargs["position_ids"][0, kwargs["logits_indices"]].tolist()
        hit = torch.tensor([row(position) for position in positions])
        output.logits[0, hit, :] = value

    return model_of(engine).register_forward_hook(after, with_kwargs=True)


def spoil_token(engine: TransformersEngine, token: int) -> Callable[[], None]:
    """The token's embedding becomes NaN, and with it the cache of every prompt that holds it. Returns the undoing."""
    weight = model_of(engine).get_input_embeddings().weight.data
    sound = weight[token].clone()
    weight[token] = float("nan")

    def undo() -> None:
        weight[token] = sound

    return undo


def kill_thread(engine: TransformersEngine) -> None:
    """SystemExit in the loop's thread: nothing there catches it."""
    thread = batch_of(engine)._manager._generation_thread
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread.ident), ctypes.py_object(SystemExit))


def hang(engine: TransformersEngine) -> threading.Event:
    """The next step waits for the event."""
    release = threading.Event()
    model_of(engine).register_forward_pre_hook(lambda *_: release.wait() and None)
    return release


async def nothing_is_left(engine: TransformersEngine) -> None:
    """Flows, handlers, queues and cache blocks are those of an engine that has nothing to do."""
    manager = batch_of(engine)._manager
    await until(lambda: engine.stats().running == 0 and not live_of(engine).flows)
    scheduler = manager.batch_processor.scheduler
    await until(lambda: not scheduler.active_requests and not scheduler.waiting_requests)
    await until(lambda: not manager.output_router.result_handlers and manager.output_router.output_queue.empty())
    cache = manager.batch_processor.cache
    for allocator in cache.cache_allocators.values():
        await until(lambda allocator=allocator: not allocator.block_table)  # type: ignore[misc]
        assert not allocator.ledger.shared_ref_counts
        free = cache.pool.num_free_sectors * allocator.blocks_per_sector + cache.pool.count_free_blocks(allocator.index)
        assert free + len(allocator.ledger.cached_blocks) == cache.num_sectors * allocator.blocks_per_sector
