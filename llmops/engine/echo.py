"""An engine without weights: it repeats the last user message at a set pace, and fails when told to."""

from __future__ import annotations

import asyncio
import itertools
import math
import re
import time
import zlib
from collections.abc import AsyncIterator, Callable, Sequence

from llmops.engine.contract import (
    EngineState,
    EngineStats,
    FinishReason,
    Generation,
    Health,
    ModelCard,
    Piece,
    Prompt,
    Sampling,
    StoppedBy,
    TemplateOptions,
)
from llmops.engine.dials import EchoDials
from llmops.engine.errors import BadPrompt, EngineError, EngineStopped, OutOfMemory, PromptTooLong, UnsupportedField
from llmops.engine.looping import LoopDetector
from llmops.engine.stopping import StopMatcher

# A token is a word or a run of space, at most 8 characters of it: each token stands for text that can be given back.
_TOKEN = re.compile(r"\w{1,8}|[^\w\s]|\s{1,8}")
_ROLES = frozenset({"system", "developer", "user", "assistant", "tool", "function"})
# Texts that ids stand for are kept for the answer; so many of them, then the oldest go.
_REMEMBERED = 1 << 16
_LOST = "\u2026"


class EchoEngine:
    """The contract's fake: deterministic, paced on an absolute schedule, hundreds of generations at once."""

    def __init__(
        self,
        dials: EchoDials | None = None,
        *,
        sampling: Sampling | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._dials = dials or EchoDials()
        self._sampling = sampling or Sampling()
        self._clock = clock
        self._texts: dict[int, str] = {}
        self._count = itertools.count(1)
        self._running: set[str] = set()
        self._ended = asyncio.Event()
        self._health = Health(state="starting", reason="The engine has not started.")

    @property
    def card(self) -> ModelCard:
        return ModelCard(
            id="echo",
            version="1",
            engine="echo",
            dtype=None,
            quantization=None,
            max_model_len=self._dials.max_model_len,
            sampling=self._sampling,
        )

    async def start(self) -> None:
        self._ended.clear()
        self._health = Health(state="ready")

    def encode(self, prompt: Prompt, template: TemplateOptions | None = None) -> list[int]:
        """One id per token, all messages in turn; the id after each 0 names a role, and the last 0 opens the answer."""
        _refuse_options(template or TemplateOptions())
        if not prompt:
            name = "prompt" if isinstance(prompt, str) else "messages"
            raise BadPrompt(f"{name} is empty: give some text.")
        if isinstance(prompt, str):
            return list(map(self._remember, _TOKEN.findall(prompt)))
        ids: list[int] = []
        for message in prompt:
            if message.role not in _ROLES:
                raise BadPrompt(f"The role {message.role!r} is none of {', '.join(sorted(_ROLES))}.")
            ids += [0, _role_id(message.role)]
            ids += map(self._remember, _TOKEN.findall(message.content))
        return [*ids, 0]

    async def generate(self, generation: Generation) -> AsyncIterator[Piece]:
        self._refuse(generation)
        number = next(self._count)
        self._running.add(generation.id)
        try:
            await self._fail_as_told(number)
            async for piece in self._paced(generation, self._clock()):
                yield piece
        finally:
            self._running.discard(generation.id)

    def stats(self) -> EngineStats:
        return EngineStats(running=len(self._running))

    def health(self) -> Health:
        return self._health

    async def stop(self) -> None:
        self._end("dead", "The engine was stopped.")

    async def _paced(self, generation: Generation, started_at: float) -> AsyncIterator[Piece]:
        """Token n is due at start + ttft + n / rate, however late the ones before were: no drift."""
        limit = generation.max_tokens
        least = limit if generation.ignore_eos else min(limit, generation.min_tokens)
        tokens = _at_least(least, self._answer(generation.prompt_ids))
        matcher, loops = StopMatcher(generation.stop), LoopDetector()
        for index, token in enumerate([*tokens[:limit], None] if len(tokens) < limit else tokens[:limit]):
            await self._until(started_at + self._dials.ttft_s + index * self._gap_s)
            bound = index < generation.min_tokens  # nothing stops it yet
            text = (token if bound else matcher.feed(token)) if token is not None else ""
            looping = token is not None and not bound and loops.feed(_id(token)) and generation.stop_loops
            by = _stopped_by(ended=token is None, matched=matcher.matched, looping=looping)
            reason = _finish_reason(by is not None, index + 1 == limit)
            if reason is not None and not matcher.matched:
                text += matcher.flush()
            now = self._clock()
            yield Piece(
                text=text,
                tokens=1,
                at=now,
                times=(now,),
                finish_reason=reason,
                stopped_by=by,
                loop_detected=loops.found,
                cached_tokens=0,
                batch_size=len(self._running),
            )
            if reason is not None:
                return

    async def _until(self, due_at: float) -> None:
        """Sleeps to the moment, or gives way once; raises EngineStopped when the engine ends."""
        await asyncio.sleep(max(0.0, due_at - self._clock()))
        if self._ended.is_set():
            raise EngineStopped(self._health.reason)

    async def _fail_as_told(self, number: int) -> None:
        if number == self._dials.oom_at:
            raise OutOfMemory("The device ran out of memory during this generation (as the echo engine was told).")
        if number == self._dials.die_at:
            self._end("dead", "The engine died (as the echo engine was told).")
            raise EngineStopped(self._health.reason)
        if number == self._dials.stall_at:
            await self._ended.wait()
            raise EngineStopped(self._health.reason)

    def _refuse(self, generation: Generation) -> None:
        if self._health.state != "ready":
            raise EngineStopped(self._health.reason)
        if generation.stop_token_ids:
            raise UnsupportedField(f"stop_token_ids {_NO_MODEL}", "stop_token_ids")
        if generation.max_tokens < 1:
            raise BadPrompt(f"max_tokens must be at least 1, not {generation.max_tokens}.")
        if generation.id in self._running:
            raise EngineError(f"A generation with the id {generation.id!r} is running.")
        wanted = len(generation.prompt_ids) + generation.max_tokens
        if wanted > self._dials.max_model_len:
            raise PromptTooLong(
                f"Prompt and answer need {wanted} tokens, more than this model's {self._dials.max_model_len}."
            )

    def _end(self, state: EngineState, reason: str) -> None:
        self._health = Health(state=state, reason=reason)
        self._ended.set()

    def _answer(self, prompt_ids: Sequence[int]) -> list[str]:
        """The last user message's tokens; of a prompt without roles, all of them."""
        user = _role_id("user")
        turns = [list(turn) for zero, turn in itertools.groupby(prompt_ids, key=bool) if zero]
        last = next((turn[1:] for turn in reversed(turns) if turn[0] == user), list(prompt_ids))
        return [self._texts.get(token, _LOST) for token in last]

    def _remember(self, text: str) -> int:
        """The id of a text is its checksum, so that equal prompts have equal ids in every process."""
        token = _id(text)
        if token not in self._texts:
            if len(self._texts) >= _REMEMBERED:
                del self._texts[next(iter(self._texts))]
            self._texts[token] = text
        return token

    @property
    def _gap_s(self) -> float:
        rate = self._dials.tokens_per_s
        return 0.0 if rate <= 0 or math.isinf(rate) else 1 / rate


_NO_MODEL = "needs a model, which the echo engine does not have; leave it out."


def _refuse_options(template: TemplateOptions) -> None:
    """There is no chat template, so only what it would not change is taken."""
    effort = template.reasoning_effort not in (None, "none")
    given = {
        "chat_template_kwargs": any(template.variables.values()),
        "reasoning_effort": effort,
        "continue_final_message": template.continue_final_message,
        "add_generation_prompt": not template.add_generation_prompt,
    }
    for name, is_given in given.items():
        if is_given:
            raise UnsupportedField(f"{name} {_NO_MODEL}", name)


def _at_least(count: int, tokens: list[str]) -> list[str]:
    """The tokens, again and again where there are fewer."""
    return [*itertools.islice(itertools.cycle(tokens), count)] if len(tokens) < count else tokens


def _role_id(role: str) -> int:
    return 1 + sorted(_ROLES).index(role)


def _id(text: str) -> int:
    return zlib.crc32(text.encode("utf-8", "replace")) | 1 << 32


def _stopped_by(*, ended: bool, matched: bool, looping: bool) -> StoppedBy | None:
    if matched:
        return "stop_string"
    if ended:
        return "eos"
    return "loop" if looping else None


def _finish_reason(stopped: bool, full: bool) -> FinishReason | None:
    if stopped:
        return "stop"
    return "length" if full else None
