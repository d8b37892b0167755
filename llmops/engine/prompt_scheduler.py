"""The order in which a batch loop reads prompts: short ones first, long ones in parts, none left waiting.

Without it the library reads prompts first come, first served, with all tokens that a step may have: a question of 30
tokens then waits until a prompt of 5,000 is read, and every answer that is being written waits for each large step.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

import torch
from transformers.generation.continuous_batching.requests import FutureRequestState, RequestState, RequestStatus
from transformers.generation.continuous_batching.scheduler import SCHEDULER_MAPPING, FIFOScheduler

from llmops.engine.sampling import Draw

NAME = "short-prompts-first"
_CPU_ROWS = 64
"""Prompt tokens of a step on a CPU, without context. The more, the longer the others wait; with fewer, a step reads all
weights for little (`python -m benchmarks.mixed`)."""
_FEWEST_ROWS = 16
_LAYERS_WORK = 6
"""So many times the hidden size h is the context at which attention takes as long as the rest of a layer: 12 h^2
against 2 h a token of the context (Kaplan et al., Scaling Laws for Neural Language Models, 2020, table 1)."""


class PromptScheduler(FIFOScheduler):
    """Chooses what each step computes. Lives on the loop's thread; answers that are being written always go on.

    A step reads the prompts that it can finish, the shortest first; where it can finish none, a part of the shortest.
    A prompt that is the oldest and got nothing in one step comes first in the next: it gets at least every second step.
    What a prompt waits in here for others is added to `Draw.waited_s`.
    """

    def __init__(self, *arguments: Any, clock: Callable[[], float] = time.perf_counter, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._clock = clock  # the one that the library stamps requests with
        self._passed_over: str | None = None
        self._waiting: list[RequestState] = []
        self._stepped_at = 0.0

    def reset(self) -> None:
        """Forget all requests."""
        super().reset()
        self._passed_over = None
        self._waiting = []

    def _process_candidates(
        self, candidates: list[RequestState], token_budget: int, cache_budget: int, removed: set[str]
    ) -> tuple[list[FutureRequestState], bool, bool, int, int]:
        """The library's own, with prompts in our order and no more of their tokens than a step should have."""
        self._note_waits()
        decoding = [state for state in candidates if state.status == RequestStatus.DECODING]
        prompts = [state for state in candidates if state.status != RequestStatus.DECODING]
        if prompts:
            oldest = min(prompts, key=lambda state: state.created_time)
            prompts = self._ordered(prompts, oldest, removed)
            token_budget = min(token_budget, len(decoding) + self._rows(prompts))
        result = super()._process_candidates(decoding + prompts, token_budget, cache_budget, removed)
        if prompts:
            read = {future.state.request_id for future in result[0]}
            self._waiting = [state for state in prompts if state.request_id not in read]
            self._passed_over = None if oldest.request_id in read else oldest.request_id
        return result

    def _ordered(self, prompts: Sequence[RequestState], oldest: RequestState, removed: set[str]) -> list[RequestState]:
        def rank(state: RequestState) -> tuple[bool, int, float]:
            is_due = state is oldest and state.request_id == self._passed_over
            # What the cache already holds of a prompt is not read again.
            return not is_due, len(self._infer_request_tokens(state, removed)), state.created_time

        return sorted(prompts, key=rank)

    def _rows(self, prompts: Sequence[RequestState]) -> int:
        """Prompt tokens for this step: of those that it can finish, else of the first."""
        if torch.device(self.cache.device).type != "cpu":
            return self.cache.max_batch_tokens
        rows, work = 0, float(_CPU_ROWS)
        for state in prompts:
            work_of_row = 1 + state.position_offset / (_LAYERS_WORK * self.cache.config.hidden_size)
            length = len(state.remaining_prefill_tokens)
            if length * work_of_row > work:
                return rows or max(_FEWEST_ROWS, int(work / work_of_row))
            rows += length
            work -= length * work_of_row
        return rows

    def _note_waits(self) -> None:
        """A prompt waits from its arrival until the first step that could take it, and in each step without it."""
        now = self._clock()
        for state in self._waiting:
            _add_wait(state, now - self._stepped_at)
        for state in self.waiting_requests.values():
            draw = _draw_of(state)
            if draw is not None and draw.waited_s is None:
                draw.waited_s = now - state.created_time
        self._waiting = []
        self._stepped_at = now


def install() -> None:
    """Make it known to the library as `NAME`. Idempotent."""
    SCHEDULER_MAPPING[NAME] = PromptScheduler


def _add_wait(state: RequestState, wait_s: float) -> None:
    draw = _draw_of(state)
    if draw is not None:
        draw.waited_s = (draw.waited_s or 0.0) + wait_s


def _draw_of(state: RequestState) -> Draw | None:
    """The library warms itself up with requests that are not ours."""
    draw = state.logit_processor_kwargs.get("draw")
    return draw if isinstance(draw, Draw) else None
