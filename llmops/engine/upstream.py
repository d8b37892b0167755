"""The engine for models that another server runs: any OpenAI-compatible API behind the contract of every engine."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import itertools
import logging
import random
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable

from llmops.engine.contract import (
    EngineState,
    EngineStats,
    Generation,
    Health,
    ModelCard,
    Piece,
    Prompt,
    TemplateOptions,
)
from llmops.engine.dials import EngineDials
from llmops.engine.errors import BadPrompt, EngineStopped, ModelNotLoaded, PromptTooLong, UpstreamFailed
from llmops.engine.estimate import prompt_tokens
from llmops.engine.upstream_answer import Answer
from llmops.engine.upstream_finding import NotYet, checked, find, probe
from llmops.engine.upstream_link import Link
from llmops.engine.upstream_reading import Chunk, Refused, Row, read_chunk
from llmops.engine.upstream_refusals import explain
from llmops.engine.upstream_request import request_of

_log = logging.getLogger(__name__)

_UNKNOWN_LEN = 32_768
"""Where nobody says how long a conversation may be: rather too long, since the upstream refuses what it can't take."""
_COUNTS_WITHIN_S = 2.0
"""How long the counts may come after the answer's end."""
_CLOSE_WITHIN_S = 1.0
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.2, 5.0


class UpstreamEngine:
    """Used from one event loop. The upstream counts tokens; until it has, counts are estimates."""

    def __init__(
        self,
        model: str | None,
        dials: EngineDials,
        *,
        clock: Callable[[], float] = time.monotonic,
        rng: random.Random | None = None,
    ) -> None:
        self._wanted = model
        self._dials = dials
        self._clock = clock
        self._rng = rng or random.Random()  # noqa: S311 - when to try again is no secret
        self._health = Health(state="starting", reason="The upstream was not asked yet.")
        self._link: Link | None = None
        self._row: Row | None = None
        self._fingerprint: str | None = None
        self._watch: asyncio.Task[None] | None = None
        self._look_now = asyncio.Event()
        self._asks_for_counts = True
        self._running = 0
        self._ended = False
        self._steps: set[asyncio.Timeout] = set()  # each waits for a chunk: `stop` ends them

    @property
    def card(self) -> ModelCard:
        row = self._row
        if row is None:
            raise EngineStopped(self._health.reason)
        return ModelCard(
            id=row.public_name,
            version=row.version or self._fingerprint or "unknown",
            engine="upstream",
            dtype=None,
            quantization=None,
            max_model_len=_shortest(self._dials.max_model_len, row.max_model_len),
            fair_share=1 / 2,
            sampling=dataclasses.replace(self._dials.sampling, top_k=self._dials.sampling.top_k or None),
        )

    async def start(self) -> None:
        """Waits for an upstream that is away or still loads, as long as the dial says."""
        checked(self._dials)
        self._link = Link(self._dials.upstream, rng=self._rng)
        try:
            async with asyncio.timeout(self._dials.upstream.start_timeout_s):
                await self._wait_for(self._link)
        except TimeoutError:
            await self._link.close()
            raise ModelNotLoaded(
                f"{self._link.url} was not ready within {self._dials.upstream.start_timeout_s:g} s "
                f"({_bare(self._health.reason).removeprefix(_WAITING)}): start it, or correct engine.upstream_url."
            ) from None
        except BaseException:
            await self._link.close()
            raise
        self._settle("ready")
        self._watch = asyncio.create_task(self._look_after(self._link), name="upstream-watch")

    def encode(self, prompt: Prompt, template: TemplateOptions | None = None) -> list[int]:
        """As many ids as the prompt may have tokens; they stand for nothing else. The template is the upstream's."""
        return list(range(prompt_tokens(prompt)))

    async def generate(self, generation: Generation) -> AsyncIterator[Piece]:
        link = self._refuse(generation)
        answer = Answer(generation, self._clock)
        self._running += 1
        try:
            async with contextlib.aclosing(self._chunks(link, generation)) as chunks:
                while True:
                    piece = await self._piece(chunks, answer)
                    if piece is not None:
                        yield piece
                        if piece.finish_reason is not None:
                            return
        except Refused as refused:
            if refused.status >= 500:
                self._look_now.set()
            raise explain(refused, generation.prompt) from None
        except UpstreamFailed:
            self._look_now.set()
            raise
        finally:
            self._running -= 1

    def stats(self) -> EngineStats:
        return EngineStats(running=self._running)

    def health(self) -> Health:
        return self._health

    async def stop(self) -> None:
        self._ended = True
        self._health = Health(state="dead", reason="The engine was stopped.")
        for step in self._steps:
            step.reschedule(0.0)
        if self._watch is not None:
            self._watch.cancel()
            await asyncio.gather(self._watch, return_exceptions=True)
        if self._link is not None:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_CLOSE_WITHIN_S):
                    while self._steps:  # each closes its own stream first
                        await asyncio.sleep(0)
            await self._link.close()

    async def _piece(self, chunks: AsyncGenerator[Chunk, None], answer: Answer) -> Piece | None:
        """What the next chunk makes ready. Raises EngineStopped when the engine ends meanwhile."""
        if self._ended:
            raise EngineStopped(self._health.reason)
        step = asyncio.timeout(_COUNTS_WITHIN_S if answer.is_finished else None)
        try:
            async with step:
                self._steps.add(step)
                chunk = await anext(chunks, None)
        except TimeoutError:
            if self._ended:
                raise EngineStopped(self._health.reason) from None
            return answer.end(was_told=False)
        finally:
            self._steps.discard(step)
        if chunk is None:
            return answer.end(was_told=False)
        return answer.end(was_told=True) if chunk is _DONE else answer.take(chunk)

    async def _chunks(self, link: Link, generation: Generation) -> AsyncGenerator[Chunk, None]:
        """The answer as it comes, then _DONE. An upstream that refuses to be asked for counts is asked without."""
        path, body = request_of(generation, self._model)
        for with_counts in (True, False) if self._asks_for_counts else (False,):
            counts = {"stream_options": {"include_usage": True}} if with_counts else {}
            try:
                async with link.events(path, body | counts, generation.headers) as events:
                    async for data in events:
                        if data.strip() == "[DONE]":
                            yield _DONE
                            return
                        yield read_chunk(data)
                return
            except Refused as refused:
                if not with_counts or not _is_about_counts(refused):
                    raise
                self._asks_for_counts = False

    def _refuse(self, generation: Generation) -> Link:
        """What can be refused without asking."""
        link = self._link
        if link is None or self._row is None or self._health.state in ("starting", "dead"):
            raise EngineStopped(self._health.reason)
        if not generation.prompt_ids:
            raise BadPrompt("The prompt has no tokens.")
        if generation.max_tokens < 1:
            raise BadPrompt(f"max_tokens must be at least 1, not {generation.max_tokens}.")
        wanted, limit = len(generation.prompt_ids) + generation.max_tokens, self.card.max_model_len
        if wanted > limit:
            raise PromptTooLong(f"Prompt and answer need about {wanted} tokens, more than the {limit} that fit.")
        return link

    @property
    def _model(self) -> str:
        return self._row.id if self._row else ""

    async def _wait_for(self, link: Link) -> None:
        """Until it has answered one token. Raises ModelNotLoaded where waiting would not help."""
        for tries in itertools.count():
            try:
                row = await find(link, self._wanted)
                self._fingerprint = await probe(link, row.id)
                break
            except NotYet as reason:
                if self._health.reason != _waiting(reason):
                    _log.warning("waiting for the upstream at %s: %s", link.url, reason)
                self._health = Health(state="starting", reason=_waiting(reason))
                await asyncio.sleep(min(_LONGEST_PAUSE_S, _FIRST_PAUSE_S * 2.0**tries))
        self._row = row
        if row.max_model_len is None and self._dials.max_model_len is None:
            _log.warning(
                "%s does not say how long a conversation may be: assuming %d tokens (engine.max_model_len sets it)",
                link.url,
                _UNKNOWN_LEN,
            )

    async def _look_after(self, link: Link) -> None:
        """Looks at the upstream now and then, and at once after a failure."""
        well_at = self._clock()
        while self._health.state != "dead":
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._dials.upstream.look_every_s):  # wait_for may lose a cancellation
                    await self._look_now.wait()
            self._look_now.clear()
            reason = await self._look(link)
            if reason is None:
                well_at = self._clock()
                self._settle("ready")
            elif self._clock() - well_at > self._dials.upstream.dead_after_s:
                self._settle("dead", f"The upstream was not well for too long: {reason}.")
            else:
                self._settle("degraded", f"The upstream is not well: {reason}.")

    async def _look(self, link: Link) -> str | None:
        """What is wrong with it; None when it serves what it did."""
        try:
            row = await find(link, self._model)
        except (NotYet, ModelNotLoaded) as error:
            return _bare(str(error)).replace(link.url, "it")
        except Exception as error:  # nobody else would notice that looking has ended
            _log.exception("looking at the upstream failed")
            return type(error).__name__
        kept = self._row
        if kept is not None and row.max_model_len is None:
            row = dataclasses.replace(row, max_model_len=kept.max_model_len)
        self._row = row
        return None

    def _settle(self, state: EngineState, reason: str = "") -> None:
        if state != self._health.state:
            _log.log(
                logging.INFO if state == "ready" else logging.WARNING, "the upstream engine is %s. %s", state, reason
            )
        self._health = Health(state=state, reason=reason)


_DONE = Chunk()
_WAITING = "Waiting for the upstream: "


def _is_about_counts(refused: Refused) -> bool:
    words = f"{refused.parameter} {refused.message}"
    return refused.status in (400, 422) and any(name in words for name in ("stream_options", "include_usage"))


def _shortest(*known: int | None) -> int:
    return min((length for length in known if length), default=_UNKNOWN_LEN)


def _waiting(reason: NotYet) -> str:
    return f"{_WAITING}{reason}."


def _bare(sentence: str) -> str:
    return sentence.rstrip(".")
