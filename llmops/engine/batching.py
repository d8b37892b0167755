"""The library's continuous batching behind five verbs: start, submit, cancel, sweep, close."""

from __future__ import annotations

import functools
import itertools
import math
import time
from collections.abc import Callable, Sequence
from typing import Any

import torch
from transformers import ContinuousBatchingConfig, GenerationConfig
from transformers.generation.continuous_batching.continuous_api import BackgroundThreadStatus

from llmops.engine import cpu_attention, prompt_scheduler
from llmops.engine.cache_memory import CacheMemory, available_bytes
from llmops.engine.cache_plan import PAGE_SIZE, CachePlan, plan_cache
from llmops.engine.cpu_linear import LinearLayers
from llmops.engine.dials import EngineDials
from llmops.engine.failures import classify
from llmops.engine.fused_norms import fuse_norms
from llmops.engine.loading import Loaded
from llmops.engine.noise import DrawPerRow
from llmops.engine.pace import Pace, Way, halves
from llmops.engine.placing import is_offloaded
from llmops.engine.sampling import Draw

_CPU_SHARE, _CPU_LEAST_BYTES, _CPU_MOST_BYTES = 1 / 8, 512 << 20, 4 << 30
"""Of the memory that is free: on a CPU the model shares it with everything else that the machine does. It is the most
that the cache may take; it takes what it holds."""
_CUDA_SHARE = 0.8
_CLOSE_TIMEOUT_S = 10.0
_GIVE_BACK_AFTER_S = 60.0


class BatchLoop:
    """One run of the loop's thread over a model. After the thread's death a new one takes its place.

    torch_threads: on a CPU, None leaves their number to what made steps quickest lately.
    """

    def __init__(
        self, loaded: Loaded, plan: CachePlan, eos_ids: Sequence[int], torch_threads: int | None = None
    ) -> None:
        self.plan = plan
        self._eos_ids = list(eos_ids)
        self._forgotten: list[str] = []
        on_cpu = loaded.model.device.type == "cpu"
        if on_cpu:
            cpu_attention.install()
            fuse_norms(loaded.model)
        self.draws = DrawPerRow(
            skips_idle_work=on_cpu,
            device=loaded.model.device,
            end_id=min(self._eos_ids, default=0),
            eos_ids=self._eos_ids,
            pace=_pace_of(loaded.model, torch_threads) if on_cpu else None,
        )
        self._numbers = itertools.count(1)
        prompt_scheduler.install()
        self._manager = loaded.model.init_continuous_batching(
            generation_config=GenerationConfig(  # type: ignore[no-untyped-call]
                do_sample=False, eos_token_id=self._eos_ids or -1, pad_token_id=0
            ),
            continuous_batching_config=ContinuousBatchingConfig(
                page_size=PAGE_SIZE,
                num_blocks=plan.num_blocks,
                max_batch_tokens=plan.max_batch_tokens,
                max_requests_per_batch=plan.max_running,
                max_memory_percent=0.95,
                auto_switch_to_flash=False,  # the loader has chosen
                # A captured graph can't fetch layers from RAM.
                use_cuda_graph=False if on_cpu or is_offloaded(loaded.places) else None,
                default_compile_level=0,
                scheduler_type=prompt_scheduler.NAME,
            ),
        )
        self._manager.logit_processor = self.draws
        self._memory = CacheMemory(self._manager) if on_cpu else None  # a card's is taken as a whole
        self.given_back_at = -math.inf

    def start(self) -> None:
        """Returns at once; the cache is laid out by the loop's thread."""
        self._manager.start()

    def submit(
        self, key: str, prompt: Sequence[int], max_tokens: int, draw: Draw, on_output: Callable[[Any], None]
    ) -> bool:
        """False when the loop is dead. `on_output` is called on the running event loop. Keys are never used twice."""
        draw.number = next(self._numbers)
        self._manager.register_result_handler(key, on_output)
        taken = self._manager.add_request(
            list(prompt),
            request_id=key,
            max_new_tokens=max_tokens,
            streaming=True,
            record_timestamps=True,
            eos_token_id=self._eos_ids,
            draw=draw,
        )
        if taken is None:
            self._forget(key)
        return taken is not None

    def cancel(self, key: str) -> None:
        """Nothing more is computed for it; what was under way may still be delivered once."""
        self._manager.cancel_request(key)
        self._forgotten.append(key)

    def sweep(self) -> None:
        """Lets go of what cancelled generations left; call now and then, later than their last delivery."""
        forgotten, self._forgotten = self._forgotten, []
        for key in forgotten:
            self._forget(key)
        while not self._manager.output_router.output_queue.empty():
            self._manager.output_router.output_queue.get_nowait()

    def lost(self, draw: Draw) -> bool:
        """Whether the generation ended because the model computed no finite logits for it. Ask once it has ended."""
        try:
            return self.draws.lost(draw)
        except RuntimeError:
            return True  # a device that can't be asked any more has lost them all

    def forget_prompts(self) -> None:
        """Nothing that was computed for ended generations is shared with those who come from now on."""
        self.draws.between_steps = self._evict

    def give_back(self, now: float, *, is_busy: bool) -> bool:
        """Before the next step, release memory of what is free and of old ended prompts: once a minute while steps are
        made, and once a minute after the last one. Returns whether it is due."""
        stepped_at = self.draws.stepped_at
        since = self.given_back_at if is_busy else stepped_at
        if self._memory is None or stepped_at <= self.given_back_at or now - since < _GIVE_BACK_AFTER_S:
            return False
        if self.draws.between_steps is None:
            self.draws.between_steps = functools.partial(self._give_back, self.plan.kept_tokens(is_busy=is_busy))
        self.given_back_at = now
        return True

    def _give_back(self, keep_tokens: int) -> None:
        if self._memory is not None and self._manager.batch_processor is not None:
            self._memory.give_back(self._manager.batch_processor.cache, keep_tokens)

    def _evict(self) -> None:
        if self._manager.batch_processor is not None:
            self._manager.batch_processor.cache.evict_cached_blocks()

    @property
    def is_alive(self) -> bool:
        status = self._manager.background_thread_status
        return bool(self._manager.is_running()) and status.can_accept_new_requests() is None

    def death(self, timeout_s: float) -> Exception:
        """What the loop died of, as it was raised. Blocks until its thread, which says so last, has ended."""
        self._manager.join(time.perf_counter(), timeout_s)
        error = self._manager.background_thread_status.fatal_error
        if not isinstance(error, Exception):
            return classify(None)
        return error.with_traceback(None)  # its frames hold tensors

    def abandon(self) -> None:
        """Never blocks: should the step under way end after all, the thread ends with it."""
        self._manager.background_thread_status.request_stop(BackgroundThreadStatus.HARD_STOP, 0)

    def close(self) -> None:
        """Blocks until the step under way is over. Idempotent."""
        try:
            self._manager.stop(block=True, timeout=_CLOSE_TIMEOUT_S, hard_stop=True)
        finally:
            self._manager.background_thread_status.fatal_error = None  # its traceback holds tensors
        if self._memory is not None and not self._manager.is_running():
            self._memory.close()

    def _forget(self, key: str) -> None:
        with self._manager.output_router._lock:
            self._manager.output_router.result_handlers.pop(key, None)


def _pace_of(model: torch.nn.Module, torch_threads: int | None) -> Pace:
    layers = LinearLayers(model)

    def change(way: Way) -> None:
        torch.set_num_threads(way.threads)
        layers.weights_first = way.weights_first

    threads = halves(_all_threads()) if torch_threads is None else [torch_threads]
    return Pace(threads, change, has_orders=layers.count > 0)


@functools.cache
def _all_threads() -> int:
    """Asked once: afterwards torch tells what the pace has set."""
    return torch.get_num_threads()


def plan_for(loaded: Loaded, dials: EngineDials) -> CachePlan:
    """From the model's shape and the device's free memory."""
    model = loaded.model
    config = model.config.get_text_config()
    on_cpu = model.device.type == "cpu"
    heads = getattr(config, "num_key_value_heads", None) or config.num_attention_heads
    head_size = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    cell_bytes = torch.empty((), dtype=model.dtype).element_size()
    return plan_cache(
        budget_bytes=dials.kv_cache_bytes or _budget_bytes(model.device),
        kv_bytes_per_token=2 * config.num_hidden_layers * heads * head_size * cell_bytes,
        mask_bytes_per_cell=0 if loaded.attention.startswith("flash") else cell_bytes,
        max_batch_tokens=dials.max_batch_tokens or (256 if on_cpu else 4096),
        max_running=dials.max_running,
        model_len=_model_len(loaded, config, dials),
    )


def _budget_bytes(device: torch.device) -> int:
    if device.type == "cpu":
        share_bytes = int(available_bytes() * _CPU_SHARE)
        return min(max(share_bytes, _CPU_LEAST_BYTES), _CPU_MOST_BYTES)
    free_bytes, _ = torch.cuda.mem_get_info(device)
    return int(free_bytes * _CUDA_SHARE)


def _model_len(loaded: Loaded, config: Any, dials: EngineDials) -> int:
    """The tokenizer says a huge number when it doesn't know."""
    known = [getattr(config, "max_position_embeddings", None), loaded.tokenizer.model_max_length, dials.max_model_len]
    return min(int(length) for length in known if length)
