"""One generation by the library's own loop and cache: exact times, our own draws, a stop between two tokens."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import torch
from transformers import GenerationConfig, LogitsProcessor, LogitsProcessorList
from transformers.generation.streamers import BaseStreamer

from llmops.engine.compiled import CompiledSteps
from llmops.engine.errors import NanLogits
from llmops.engine.noise import DrawPerRow
from llmops.engine.sampling import Draw


class Cancelled(Exception):
    """Nobody reads the answer any more."""


@dataclasses.dataclass(slots=True, eq=False)
class Job:
    """What is to be generated. on_token: called with each token, and whether it is the last one.

    is_cancelled may be set by any thread; the token under way is the last one then.
    """

    prompt: Sequence[int]
    max_tokens: int
    draw: Draw
    on_token: Callable[[int, bool], None]
    is_cancelled: bool = False


def generate(
    model: Any,
    job: Job,
    eos_ids: frozenset[int],
    on_step: Callable[[], None],
    compiled: CompiledSteps | None = None,
) -> None:
    """Blocks until the last token. on_step: before and after each token. Raises Cancelled or whatever the library does.

    The model must have a neutral `generation_config`: the library fills what is not said here from it.
    """
    prompt = torch.tensor([list(job.prompt)], device=model.device)
    job.draw.cached_tokens, job.draw.batch_size = 0, 1
    on_step()
    model.generate(
        prompt,
        attention_mask=torch.ones_like(prompt),
        generation_config=GenerationConfig(  # type: ignore[no-untyped-call]
            do_sample=False,
            use_cache=True,
            max_new_tokens=job.max_tokens,
            eos_token_id=sorted(eos_ids) or None,
            pad_token_id=0,
            compile_config=compiled and compiled.config,
            disable_compile=compiled is None,
        ),
        logits_processor=LogitsProcessorList([_DrawNext(job.draw, sorted(eos_ids), model.device)]),
        streamer=_Telling(job, eos_ids, on_step),
        **(compiled.arguments() if compiled else {}),
    )


class _DrawNext(LogitsProcessor):
    """The batch loop's own draw, so that a seed gives the same answer there and here."""

    def __init__(self, draw: Draw, eos_ids: Sequence[int], device: torch.device) -> None:
        self._draw = draw
        self._rows = DrawPerRow(skips_idle_work=True, device=device, end_id=0, eos_ids=eos_ids)

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        if bool(torch.isnan(scores).any()):
            raise NanLogits
        return self._rows.alone(self._draw, input_ids.shape[-1], scores)


class _Telling(BaseStreamer):
    """Hands each token on as it comes, and is where a cancelled generation ends."""

    def __init__(self, job: Job, eos_ids: frozenset[int], on_step: Callable[[], None]) -> None:
        self._job = job
        self._eos_ids = eos_ids
        self._on_step = on_step
        self._count = -1  # the prompt comes first

    def put(self, value: torch.Tensor) -> None:
        if self._job.is_cancelled:
            raise Cancelled
        self._on_step()
        self._count += 1
        if self._count:
            token = int(value.item())
            self._job.on_token(token, token in self._eos_ids or self._count >= self._job.max_tokens)

    def end(self) -> None: ...
