"""The engine for hub models: a model, its words, and continuous batching under the contract of every engine."""

from __future__ import annotations

import asyncio
import dataclasses
import logging
import random
import time
from collections.abc import AsyncIterator, Callable, Sequence
from typing import TypeVar

import torch

from llmops.engine.batching import plan_for
from llmops.engine.contract import EngineStats, Generation, Health, ModelCard, Piece, Prompt, Sampling, TemplateOptions
from llmops.engine.device_memory import memory_of
from llmops.engine.dials import EngineDials
from llmops.engine.errors import BadPrompt, EngineStopped, ModelNotLoaded, PromptTooLong, UnsupportedField
from llmops.engine.failures import unservable
from llmops.engine.flow import Flow
from llmops.engine.live_loop import LiveLoop
from llmops.engine.loading import Loaded, first_line, load, public_name
from llmops.engine.peak import PeakArithmetic
from llmops.engine.placing import spread_over
from llmops.engine.progress import Progress
from llmops.engine.prompting import encode
from llmops.engine.sampling import model_default, resolve, served_default
from llmops.engine.sequential import OneByOne
from llmops.engine.speech import Speech
from llmops.engine.spelling import decoder_of
from llmops.engine.suitability import UNSUITED, why_not_batched

_log = logging.getLogger(__name__)
_NEVER = (1 << 31) - 1
"""A position that no answer reaches."""
_FAIR_SHARE = {"cpu": 1 / 8}
"""A CPU computes each row: 2 of 16 beside one make it 1.5 times slower, 4 make it 1.9 times (docs/measurements.md)."""
_FAIR_SHARE_ELSEWHERE = 1 / 2
"""A GPU waits for weights, which all rows share."""
_Loop = TypeVar("_Loop", LiveLoop, OneByOne)


def cuda_version(device: str) -> str | None:
    """Of the torch that computes on this type of device; None where that is not CUDA."""
    return torch.version.cuda if device == "cuda" else None


class TransformersEngine:
    """Batches where the model can be batched, else goes one by one. Used from one event loop.

    `stop` must be called before the process ends: the batch thread is no daemon.
    """

    def __init__(
        self,
        model: str,
        dials: EngineDials | None = None,
        *,
        is_demo: bool = False,
        one_by_one: bool = False,
        clock: Callable[[], float] = time.monotonic,
        rng: random.Random | None = None,
    ) -> None:
        self._name = model
        self._dials = dials or EngineDials()
        self._is_demo = is_demo
        self._one_by_one = one_by_one
        self._clock = clock
        self._rng = rng or random.Random()  # noqa: S311 - how tokens are drawn is no secret
        self._progress = Progress()
        self._stopped = False
        self._loaded: Loaded | None = None
        self._live: LiveLoop | OneByOne | None = None
        self._arithmetic: PeakArithmetic | None = None
        self._carded: tuple[object, ModelCard] | None = None  # of this plan; outlives the engine, for its last events
        self._default = Sampling()
        self._eos_ids: frozenset[int] = frozenset()

    @property
    def card(self) -> ModelCard:
        if self._live is None and self._carded is not None:
            return self._carded[1]
        loaded, live = self._here()
        if self._carded is None or self._carded[0] is not live.plan:  # after a restart it may hold less
            self._carded = live.plan, self._describe(loaded, live)
        return self._carded[1]

    def _describe(self, loaded: Loaded, live: LiveLoop | OneByOne) -> ModelCard:
        return ModelCard(
            id=_public_name(self._name, self._is_demo),
            version=loaded.version,
            engine="transformers-sequential" if isinstance(live, OneByOne) else "transformers",
            dtype=loaded.dtype,
            quantization=loaded.quantization,
            max_model_len=live.plan.max_model_len,
            is_demo=self._is_demo,
            cache_tokens=live.plan.tokens,
            fair_share=_FAIR_SHARE.get(loaded.model.device.type, _FAIR_SHARE_ELSEWHERE),
            cuda_version=cuda_version(loaded.model.device.type),
            weights_bytes=loaded.weights_bytes,
            cache_bytes=live.plan.cache_bytes,
            takes_as_used=loaded.model.device.type == "cpu",
            sampling=self._default,
        )

    async def start(self) -> None:
        try:
            self._loaded, self._live = await self._open()
        except Exception as error:  # an architecture that batching refuses fails in the library's own words
            raise unservable(self._name, error) from error

    async def _open(self) -> tuple[Loaded, LiveLoop | OneByOne]:
        if self._dials.torch_threads is not None:
            torch.set_num_threads(self._dials.torch_threads)
        try:
            loaded = await asyncio.to_thread(load, self._name, self._dials, self._progress)
        except asyncio.CancelledError:  # a thread can't be cancelled, and the process would wait for it
            self._progress.abandon()
            raise
        self._arithmetic = PeakArithmetic(
            loaded.model.config.to_dict(),
            loaded.quantization,
            weights_bytes=loaded.weights_bytes,
            compute_bytes=torch.empty((), dtype=loaded.model.dtype).element_size(),
        )
        own = model_default(loaded.model.generation_config)
        self._default = served_default(_public_name(self._name, self._is_demo), self._dials.sampling, own)
        self._eos_ids = _eos_ids(loaded)
        return loaded, await self._choose_loop(loaded)

    async def _choose_loop(self, loaded: Loaded) -> LiveLoop | OneByOne:
        """Batching where the model allows it; one generation at a time where it doesn't, or where that was asked."""
        why = "that was asked for" if self._one_by_one else why_not_batched(loaded.model) or spread_over(loaded.places)
        if why is None:
            if self._dials.compile:
                raise ModelNotLoaded(
                    "engine.compile is for single streams, and here many share a batch: set engine.kind = "
                    '"transformers-sequential", or leave engine.compile off.'
                )
            try:
                plan = plan_for(loaded, self._dials)
                return await _opened(LiveLoop(loaded, plan, self._eos_ids, self._dials, self._clock))
            except UNSUITED as error:
                why = f"batching fails at it ({type(error).__name__}: {first_line(error).rstrip('.')})"
        _log.info("%s: one generation at a time, because %s", self._name, why)
        return await _opened(OneByOne(loaded, self._eos_ids, self._dials, self._clock))

    def encode(self, prompt: Prompt, template: TemplateOptions | None = None) -> list[int]:
        return encode(self._here()[0].tokenizer, prompt, template or TemplateOptions())

    async def generate(self, generation: Generation) -> AsyncIterator[Piece]:
        draw = resolve(generation.sampling, self._default, self._rng)
        draw.ends_from = _NEVER if generation.ignore_eos else len(generation.prompt_ids) + generation.min_tokens
        loaded, live = self._here()
        await live.ready()
        generation = _shortened(generation, live.plan.max_model_len)
        _refuse_what_cannot_fit(generation, live.plan.max_model_len)
        _refuse_unknown_tokens(generation.stop_token_ids, len(loaded.tokenizer))
        flow = live.begin(generation.prompt_ids, generation.max_tokens, draw)
        flow.may_shorten = not generation.names_length
        try:
            async for piece in self._pieces(flow, generation):
                yield piece
        finally:
            live.leave(flow)

    def stats(self) -> EngineStats:
        loaded, live = self._loaded, self._live  # one look: the sampling thread asks while the event loop changes them
        if live is None or loaded is None:
            return EngineStats(running=0)
        lengths = [flow.length for flow in list(live.flows.values())]
        used, room_tokens = live.plan.utilization(lengths), live.plan.room_tokens(lengths)
        stats = EngineStats(
            running=len(lengths),
            kv_cache_utilization=used,
            room_tokens=room_tokens,
            prefix_cache_queries=live.prompt_tokens,
            prefix_cache_hits=live.cached_tokens,
        )
        memory = memory_of(loaded.model.device)
        if memory is None:
            return stats
        return dataclasses.replace(
            stats,
            torch_allocated_bytes=memory.allocated,
            torch_reserved_bytes=memory.reserved,
            peak_allocated_bytes=memory.peak_allocated,
            peak_reserved_bytes=memory.peak_reserved,
            predicted_peak_bytes=self._predicted_peak_bytes(loaded, live),
        )

    def _predicted_peak_bytes(self, loaded: Loaded, live: LiveLoop | OneByOne) -> int | None:
        """Of a model that lies on one card: of several, torch is asked about the first alone."""
        if self._arithmetic is None or len(loaded.places) > 1:
            return None
        return live.predicted_peak_bytes(self._arithmetic)

    def health(self) -> Health:
        live = self._live
        if live is not None:
            return live.health()
        if self._stopped:
            return Health(state="dead", reason="The engine was stopped.")
        return Health(state="starting", reason=self._progress.sentence)

    async def stop(self) -> None:
        self._stopped = True
        self._progress.abandon()
        if self._live is not None:
            self._carded = self._live.plan, self.card
            await self._live.close()
        self._loaded = self._live = None

    async def _pieces(self, flow: Flow, generation: Generation) -> AsyncIterator[Piece]:
        decode = decoder_of(self._here()[0].tokenizer)
        speech = Speech(
            decode,
            generation.stop,
            self._eos_ids,
            stop_loops=generation.stop_loops,
            stop_token_ids=generation.stop_token_ids,
            min_tokens=generation.min_tokens,
        )
        while True:
            arrival = await flow.next()
            spoken = speech.say(arrival.tokens, is_last=arrival.is_last)
            yield Piece(
                text=spoken.text,
                tokens=spoken.tokens,
                at=arrival.at,
                finish_reason=spoken.finish_reason,
                cached_tokens=flow.draw.cached_tokens,
                batch_size=flow.draw.batch_size,
                times=tuple(arrival.times[: spoken.tokens]),
                stopped_by=spoken.stopped_by,
                loop_detected=speech.loop_detected,
                waited_s=flow.draw.waited_s,
            )
            if spoken.finish_reason is not None:
                return

    def _here(self) -> tuple[Loaded, LiveLoop | OneByOne]:
        loaded, live = self._loaded, self._live
        if loaded is None or live is None:
            raise EngineStopped(self.health().reason)
        return loaded, live


async def _opened(live: _Loop) -> _Loop:
    try:
        await live.open()
    except BaseException:  # a start that is cancelled must not leave the thread behind
        await live.close()
        raise
    return live


def _shortened(generation: Generation, limit: int) -> Generation:
    """An answer of no named length is as long as there is room, also after a restart with a smaller cache."""
    room = limit - len(generation.prompt_ids)
    if generation.names_length or not 1 <= room < generation.max_tokens:
        return generation
    return dataclasses.replace(generation, max_tokens=room)


def _refuse_unknown_tokens(ids: Sequence[int], count: int) -> None:
    unknown = next((each for each in ids if not 0 <= each < count), None)
    if unknown is not None:
        raise UnsupportedField(
            f"stop_token_ids holds {unknown}, and this model's tokens are 0 to {count - 1}: leave it out.",
            "stop_token_ids",
        )


def _refuse_what_cannot_fit(generation: Generation, limit: int) -> None:
    if not generation.prompt_ids:
        raise BadPrompt("The prompt has no tokens.")
    if generation.max_tokens < 1:
        raise BadPrompt(f"max_tokens must be at least 1, not {generation.max_tokens}.")
    wanted = len(generation.prompt_ids) + generation.max_tokens
    if wanted > limit:
        raise PromptTooLong(f"Prompt and answer need {wanted} tokens, more than the {limit} that fit.")


def _public_name(name: str, is_demo: bool) -> str:
    return "llmops-demo" if is_demo else public_name(name)


def _eos_ids(loaded: Loaded) -> frozenset[int]:
    told = loaded.model.generation_config.eos_token_id
    if told is None:
        told = loaded.tokenizer.eos_token_id
    if told is None:
        return frozenset()
    return frozenset([told] if isinstance(told, int) else told)
