"""The loop for models that can't be batched: one generation after the other, under the batch loop's verbs."""

from __future__ import annotations

import asyncio
import collections
import contextlib
import dataclasses
import gc
import itertools
import logging
import threading
from collections.abc import Callable, Sequence

import torch
from transformers import GenerationConfig

from llmops.engine.compiled import COMPILES_WITHIN_S, LONGEST, WARM_TOKENS, CompiledSteps
from llmops.engine.contract import EngineState, Health
from llmops.engine.device_memory import forget_peak
from llmops.engine.dials import EngineDials
from llmops.engine.errors import EngineError, EngineStopped, OutOfMemory
from llmops.engine.failures import classify
from llmops.engine.flow import Flow
from llmops.engine.loading import Loaded, first_line
from llmops.engine.one_answer import Cancelled, Job, generate
from llmops.engine.peak import PeakArithmetic
from llmops.engine.sampling import Draw
from llmops.engine.stalls import LEAST_TOKENS, patience_s

_log = logging.getLogger(__name__)

_UNKNOWN_LEN = 32_768
"""Where neither model nor tokenizer names a limit, as with recurrent ones, whose memory does not grow."""
_CLOSE_TIMEOUT_S = 10.0
_FIRST_TOKEN = 3
"""Which call of `_step` is that of the first token."""


@dataclasses.dataclass(frozen=True, slots=True)
class Room:
    """What the engine may promise: there is no shared cache, only the longest prompt and answer."""

    max_model_len: int

    @property
    def tokens(self) -> int | None:
        """Nothing is shared, so nothing is known of a limit for all together."""
        return None

    @property
    def cache_bytes(self) -> int | None:
        """Nothing is laid out beforehand."""
        return None

    def utilization(self, lengths: list[int]) -> float | None:
        """Unknown: each generation has a cache of its own."""
        return None

    def room_tokens(self, lengths: list[int]) -> int | None:
        """Unknown too: whether it fits shows only when it grows."""
        return None


class OneByOne:
    """Lives on the event loop, works on one thread. Who came first goes first; the others wait in it."""

    def __init__(self, loaded: Loaded, eos_ids: frozenset[int], dials: EngineDials, clock: Callable[[], float]) -> None:
        longest = _longest(loaded, dials)
        self.plan = Room(min(longest, dials.max_model_len or LONGEST) if dials.compile else longest)
        self._compiled = CompiledSteps(loaded.model, self.plan.max_model_len) if dials.compile else None
        self.flows: dict[str, Flow] = {}
        self.prompt_tokens = self.cached_tokens = 0  # there is no prefix cache
        self._loaded = loaded
        self._eos_ids = eos_ids
        self._dials = dials
        self._clock = clock
        self._keys = itertools.count()
        self._jobs: dict[str, Job] = {}
        self._queue: collections.deque[tuple[Flow, Job, float]] = collections.deque()
        self._work = threading.Condition()
        self._is_closing = False
        self._thread = threading.Thread(target=self._run, name="sequential-decode", daemon=True)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._busy_since = self._stepped_at = clock()
        self._most_prompt = self._most_tokens = 0  # of one generation, since it was idle
        self._cause: Exception | None = None  # of the last failure, in the library's words
        self._unread = self._steps = 0  # prompt tokens before the first token; steps of the generation under way
        self._read_s = 0.0  # a token of the last prompt
        self._state: EngineState = "starting"
        self._reason = "The engine is warming up."

    async def open(self) -> None:
        """Lets the model answer one token. Raises whatever the library does."""
        self._loop = asyncio.get_running_loop()
        # What its makers recommend was read by the engine; the library must not apply it a second time.
        self._loaded.model.generation_config = GenerationConfig()  # type: ignore[no-untyped-call]
        self._thread.start()
        self._settle("ready", "")
        within_s = self._dials.probe_timeout_s if self._compiled is None else COMPILES_WITHIN_S
        flow = self.begin(*self._probe(1 if self._compiled is None else WARM_TOKENS))
        try:
            async with asyncio.timeout(within_s):
                while not (await flow.next()).is_last:
                    pass
        except TimeoutError:
            raise EngineStopped(f"No token came within {within_s:.0f} s.") from None
        except EngineError as error:
            raise self._cause or error from None
        finally:
            self.leave(flow)

    async def close(self) -> None:
        """What runs fails with EngineStopped. Idempotent."""
        self._settle("dead", "The engine was stopped.")
        self._fail_all(EngineStopped("The engine was stopped."))
        with self._work:
            self._is_closing = True
            self._work.notify()
        if self._thread.is_alive():
            await asyncio.to_thread(self._thread.join, _CLOSE_TIMEOUT_S)

    async def ready(self) -> None:
        """Raises EngineStopped when the loop has ended."""
        if self._state != "ready":
            raise EngineStopped(self._reason)

    def begin(self, prompt: Sequence[int], max_tokens: int, draw: Draw) -> Flow:
        """Lines it up. From here on `leave` must be called."""
        if self._state != "ready":
            raise EngineStopped(self._reason)
        flow = Flow(f"s{next(self._keys)}", prompt, max_tokens, draw)
        job = Job(prompt, max_tokens, draw, lambda token, is_last: self._tell(flow, token, is_last))
        if not self.flows:
            self._wake()
        self.flows[flow.key] = flow
        self._jobs[flow.key] = job
        with self._work:
            self._queue.append((flow, job, self._clock()))
            self._work.notify()
        return flow

    def leave(self, flow: Flow) -> None:
        """The reader is gone: what is still computed for it ends with the token under way."""
        self._note(flow)
        self.flows.pop(flow.key, None)
        job = self._jobs.pop(flow.key, None)
        if job is not None:
            job.is_cancelled = True

    def predicted_peak_bytes(self, arithmetic: PeakArithmetic) -> int | None:
        """What this busy period should have taken at most."""
        for flow in list(self.flows.values()):
            self._note(flow)
        return arithmetic.alone(self._most_prompt, self._most_tokens - self._most_prompt)

    def _note(self, flow: Flow) -> None:
        if flow.has_begun:
            self._most_prompt = max(self._most_prompt, len(flow.prompt))
            self._most_tokens = max(self._most_tokens, flow.length)

    def health(self) -> Health:
        """A token that takes too long degrades the engine until the next one."""
        still_s = self._clock() - max(self._busy_since, self._stepped_at)
        reading_s = patience_s(self._unread, self._read_s)
        if self._state == "ready" and self.flows and still_s > self._dials.hang_s + reading_s:
            return Health(state="dead", reason=f"No token for {still_s:.0f} s: only a new process helps.")
        if self._state == "ready" and self.flows and still_s > self._dials.stall_s + reading_s:
            return Health(state="degraded", reason=f"No token for {still_s:.0f} s while a generation runs.")
        return Health(state=self._state, reason=self._reason)

    def _wake(self) -> None:
        """From idle to busy: stalls and the memory's peak are those of this busy period."""
        self._busy_since = self._clock()
        forget_peak(self._loaded.model.device)
        self._most_prompt = self._most_tokens = 0

    def _run(self) -> None:
        """On the thread: until it is closed, or the model can't even answer one token."""
        while (turn := self._next()) is not None:
            flow, job = turn
            error = self._answer(job)
            if error is None:
                continue
            self._cause = error
            self._post(self._fail, flow, _told(error))
            _log.error("a generation failed: %s: %s", type(error).__name__, first_line(error))
            del error, turn
            self._tidy()
            again = self._answer(Job(*self._probe(1), on_token=lambda *_: None))
            if again is not None:
                self._post(self._die, f"The model can't answer any more ({type(again).__name__}).")
                return

    def _next(self) -> tuple[Flow, Job] | None:
        with self._work:
            self._work.wait_for(lambda: self._queue or self._is_closing)
            if self._is_closing:
                return None
            flow, job, since = self._queue.popleft()
        job.draw.waited_s = self._clock() - since
        return flow, job

    def _answer(self, job: Job) -> Exception | None:
        """What went wrong, without the frames: they hold tensors."""
        if job.is_cancelled:
            return None
        try:
            self._unread = len(job.prompt)
            generate(self._loaded.model, job, self._eos_ids, self._step, self._compiled)
        except Cancelled:
            return None
        except Exception as error:  # the library fails in its own words, and the next generation may do well
            return error.with_traceback(None)
        finally:
            self._unread = self._steps = 0
        return None

    def _step(self) -> None:
        """Before a generation, once its prompt is laid out, and at each token."""
        now = self._clock()
        self._steps += 1
        if self._steps == _FIRST_TOKEN:
            if self._unread >= LEAST_TOKENS:
                self._read_s = (now - self._stepped_at) / self._unread
            self._unread = 0
        self._stepped_at = now

    def _tidy(self) -> None:
        gc.collect()
        if self._loaded.model.device.type == "cuda":
            with contextlib.suppress(Exception):  # a lost device refuses; the probe will tell
                torch.cuda.empty_cache()

    def _probe(self, tokens: int) -> tuple[list[int], int, Draw]:
        return [min(self._eos_ids, default=0)], tokens, Draw(temperature=0.0, top_k=0, top_p=1.0, seed=0)

    def _tell(self, flow: Flow, token: int, is_last: bool) -> None:
        self._post(flow.take, [token], (self._clock(),), is_last)

    def _post(self, call: Callable[..., None], *arguments: object) -> None:
        """From the thread to the event loop, which may have ended."""
        with contextlib.suppress(RuntimeError):
            if self._loop is not None:
                self._loop.call_soon_threadsafe(call, *arguments)

    def _fail(self, flow: Flow, error: EngineError) -> None:
        flow.fail(error)
        self.leave(flow)

    def _die(self, reason: str) -> None:
        if self._state != "dead":
            self._settle("dead", reason)
            self._fail_all(EngineStopped(reason))

    def _fail_all(self, error: EngineError) -> None:
        for flow in tuple(self.flows.values()):
            self._fail(flow, error)

    def _settle(self, state: EngineState, reason: str) -> None:
        self._state, self._reason = state, reason


def _told(error: Exception) -> EngineError:
    """What the reader of the failed generation gets."""
    if isinstance(error, EngineError):
        return error
    if isinstance(classify(error), OutOfMemory):
        return OutOfMemory("The device ran out of memory during this generation: shorten the prompt or max_tokens.")
    return EngineError(f"The model failed during this generation; the log says why ({type(error).__name__}).")


def _longest(loaded: Loaded, dials: EngineDials) -> int:
    """The tokenizer says a huge number when it doesn't know."""
    limit = getattr(loaded.model.config.get_text_config(), "max_position_embeddings", None)
    told = loaded.tokenizer.model_max_length
    known = [limit, told if told < 1 << 31 else None, dials.max_model_len]
    return min((int(length) for length in known if length), default=_UNKNOWN_LEN)
