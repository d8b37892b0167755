"""A batch loop that comes back: supervised, restarted in place, and honest about what each death cost."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections.abc import Callable, Sequence
from typing import Any

from llmops.engine.batching import BatchLoop
from llmops.engine.cache_plan import CachePlan
from llmops.engine.contract import EngineState, Health
from llmops.engine.device_memory import forget_peak
from llmops.engine.dials import EngineDials
from llmops.engine.errors import EngineError, EngineStopped, NanLogits, OutOfMemory
from llmops.engine.failures import classify
from llmops.engine.flow import Flow
from llmops.engine.loading import Loaded
from llmops.engine.peak import PeakArithmetic
from llmops.engine.restarts import LIMIT, Restarts
from llmops.engine.sampling import Draw
from llmops.engine.stalls import patience_s

_LOOK_EVERY_S = 0.25
_CLOSE_WITHIN_S = 15.0


class LiveLoop:
    """Lives on the event loop; blocking work goes to a thread. The weights stay, batch loops come and go."""

    def __init__(
        self, loaded: Loaded, plan: CachePlan, eos_ids: frozenset[int], dials: EngineDials, clock: Callable[[], float]
    ) -> None:
        self.plan = plan
        self._fewest_blocks = plan.num_blocks // 4  # rare shortages of memory must not eat up the cache in the end
        self.flows: dict[str, Flow] = {}
        self.prompt_tokens = 0
        self.cached_tokens = 0
        self._loaded = loaded
        self._eos_ids = eos_ids
        self._dials = dials
        self._clock = clock
        self._restarts = Restarts()
        self._keys = itertools.count()
        self._batch: BatchLoop | None = None
        self._watch: asyncio.Task[None] | None = None
        self._trouble = asyncio.Event()
        self._settled = asyncio.Event()  # clear only while a dead loop is being replaced: requests wait for it
        self._doubted = False  # a generation had no finite logits: was it its own fault or the device's?
        self._busy_since = 0.0
        self._state: EngineState = "starting"
        self._reason = "The engine is warming up."

    async def open(self) -> None:
        """With a smaller cache where the planned one does not fit. Raises whatever the library does."""
        for attempt in range(LIMIT + 1):
            try:
                await self._open_batch()
                break
            except Exception as error:
                await self._close_batch()
                if not isinstance(classify(error), OutOfMemory) or attempt == LIMIT:
                    raise
                self._shrink()
        self._settle("ready", "")
        self._watch = asyncio.create_task(self._supervise(), name="engine-watch")

    async def close(self) -> None:
        """What runs fails with EngineStopped. Idempotent."""
        self._settle("dead", "The engine was stopped.")
        if self._watch is not None:
            self._watch.cancel()
            await asyncio.gather(self._watch, return_exceptions=True)
            self._watch = None
        self._fail_all(EngineStopped("The engine was stopped."))
        await self._close_batch()

    async def ready(self) -> None:
        """Waits for a restart under way. Raises EngineStopped when there is nothing to wait for."""
        await self._settled.wait()
        if self._state != "ready":
            raise EngineStopped(self._reason)

    def begin(self, prompt: Sequence[int], max_tokens: int, draw: Draw) -> Flow:
        """Hands it to the batch, or to the next one should this one have died a moment ago. `leave` must follow."""
        if self._state == "dead":
            raise EngineStopped(self._reason)
        flow = Flow(f"g{next(self._keys)}", prompt, max_tokens, draw)
        if not self.flows:
            self._wake()
        self.flows[flow.key] = flow
        if not self._submit(flow):
            self._trouble.set()
        return flow

    def leave(self, flow: Flow) -> None:
        """The reader is gone: what is still computed for it ends now."""
        if flow.draw.cached_tokens is not None:
            self.prompt_tokens += len(flow.prompt)
            self.cached_tokens += flow.draw.cached_tokens
        if self.flows.pop(flow.key, None) is not None and not flow.is_delivered and self._batch is not None:
            self._batch.cancel(flow.key)

    def health(self) -> Health:
        """A step that takes too long degrades the engine until it moves again."""
        still_s = self._still_s()
        if self._state != "ready" or still_s <= self._dials.stall_s + self._reading_s():
            return Health(state=self._state, reason=self._reason)
        return Health(state="degraded", reason=f"No step for {still_s:.0f} s while generations run.")

    def predicted_peak_bytes(self, arithmetic: PeakArithmetic) -> int | None:
        """What this busy period should have taken at most."""
        batch = self._batch  # one look: the sampling thread asks too
        return None if batch is None else arithmetic.batched(batch.plan, max(1, batch.draws.most_rows))

    def _still_s(self) -> float:
        """Since the last step, while something runs."""
        batch = self._batch  # one look: the sampling thread asks too
        if batch is None or not self.flows:
            return 0.0
        return self._clock() - max(self._busy_since, batch.draws.stepped_at)

    def _reading_s(self) -> float:
        """What the step under way may take for its part of a prompt, by what the last one took."""
        batch = self._batch
        return 0.0 if batch is None else patience_s(batch.draws.rows, batch.draws.row_s)

    def _wake(self) -> None:
        """From idle to busy: stalls and the memory's peak are those of this busy period."""
        self._busy_since = self._clock()
        forget_peak(self._loaded.model.device)
        if self._batch is not None:
            self._batch.draws.most_rows = 0

    def _submit(self, flow: Flow) -> bool:
        batch = self._batch
        if batch is None:
            return False
        arrive = self._arrive
        return batch.submit(flow.key, flow.prompt, flow.max_tokens, flow.draw, lambda out: arrive(batch, flow, out))

    def _arrive(self, batch: BatchLoop, flow: Flow, output: Any) -> None:
        if batch is not self._batch:
            return  # the last words of a loop whose generations have been failed or handed on
        if output.error is None and output.is_finished() and batch.lost(flow.draw):
            batch.forget_prompts()  # what was computed for it is no good for those who say the same
            self._doubted = True
            self._trouble.set()
            flow.fail(NanLogits())
            return
        flow.arrive(output)
        if flow.failed_alone:
            self._trouble.set()

    async def _supervise(self) -> None:
        try:
            while self._state != "dead":
                await self._look()
        except Exception as error:  # nobody else would ever release those who wait
            failure = classify(error)
            self._fail_all(failure)
            self._settle("dead", f"The engine can't be watched any more. {failure}")
            await self._close_batch()

    async def _look(self) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._trouble.wait(), _LOOK_EVERY_S)
        self._trouble.clear()
        batch = self._batch
        if batch is None or not batch.is_alive:
            await self._recover(classify(await self._death()))
        elif self._still_s() > self._dials.hang_s + self._reading_s():
            self._give_up(self._still_s())
        else:
            batch.sweep()
            self._fail_lone()
            await self._settle_doubt()
            if batch.give_back(self._clock(), is_busy=bool(self.flows)) and not self.flows:
                with contextlib.suppress(Exception):  # an idle loop releases memory at a step of its own
                    await self._probe()
                batch.given_back_at = self._clock()

    async def _settle_doubt(self) -> None:
        """One generation without finite logits is its own affair; a probe without them is the loop's death."""
        if not self._doubted:
            return
        for last in (False, False, True):  # where attention is shared, a sick neighbour may spoil the probe's row too
            self._doubted = False
            try:
                await self._probe()
                return
            except Exception as error:
                if last or not isinstance(error, NanLogits):
                    await self._recover(classify(error))
                    return

    def _give_up(self, still_s: float) -> None:
        """A step that never ends can't be ended from inside: its thread would keep the device and the weights."""
        reason = f"No step for {still_s:.0f} s: the engine hangs, and only a new process helps."
        self._settle("dead", reason)
        self._fail_all(EngineStopped(reason))
        batch, self._batch = self._batch, None
        if batch is not None:
            batch.abandon()

    async def _recover(self, failure: EngineError) -> None:
        """Fails what had begun, starts loops until one answers its probe, and hands it what had not begun."""
        self._settled.clear()
        while self._state != "dead":
            self._state, self._reason = "degraded", f"Restarting. {failure}"
            self._fail_begun(failure)
            wait_s = self._restarts.wait_s(self._clock())
            await self._close_batch()
            if wait_s is None:
                self._settle("dead", f"The engine died more than {LIMIT} times in a few minutes. {failure}")
                self._fail_all(failure)
                return
            if isinstance(failure, OutOfMemory):
                self._shrink()
            await asyncio.sleep(wait_s)
            try:
                await self._open_batch()
            except Exception as again:  # a lost device fails in the library's own words, wherever it is touched
                failure = classify(again)
                continue
            self._settle("ready", "")
            self._resubmit(failure)
            return

    async def _death(self) -> Exception:
        batch = self._batch
        return classify(None) if batch is None else await asyncio.to_thread(batch.death, self._dials.stall_s)

    async def _open_batch(self) -> None:
        """Starts a batch loop and lets it answer one token. Raises whatever the library does."""
        eos_ids = sorted(self._eos_ids)
        self._batch = await asyncio.to_thread(BatchLoop, self._loaded, self.plan, eos_ids, self._dials.torch_threads)
        self._batch.start()
        await self._probe()
        self._doubted = False

    async def _probe(self) -> None:
        """One greedy token, from finite logits. Raises what the loop died of, NanLogits, or EngineStopped."""
        greedy = Draw(temperature=0.0, top_k=0, top_p=1.0, seed=0)
        flow = Flow(f"p{next(self._keys)}", [min(self._eos_ids, default=0)], 1, greedy)
        if not self._submit(flow):  # dead before it took anything; only the loop knows of what
            raise await self._death()
        deadline = self._clock() + self._dials.probe_timeout_s
        while self._clock() < deadline:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(flow.next(), _LOOK_EVERY_S)
                return
            if flow.failed_alone or self._batch is None or not self._batch.is_alive:
                raise await self._death()
        raise EngineStopped(f"No token came within {self._dials.probe_timeout_s:.0f} s.")

    async def _close_batch(self) -> None:
        batch, self._batch = self._batch, None
        if batch is not None:
            with contextlib.suppress(Exception):  # its thread has ended by then; a lost device refuses the tidying up,
                await asyncio.wait_for(asyncio.to_thread(batch.close), _CLOSE_WITHIN_S)  # or never answers

    def _shrink(self) -> None:
        if self.plan.num_blocks > self._fewest_blocks:
            self.plan = self.plan.shrunk()

    def _settle(self, state: EngineState, reason: str) -> None:
        self._state, self._reason = state, reason
        self._settled.set()

    def _resubmit(self, failure: EngineError) -> None:
        """What no forward pass had taken up starts anew, once, and its reader never knows."""
        for flow in list(self.flows.values()):
            if not flow.fits(self.plan.max_model_len):
                self._fail(flow, failure)
                continue
            flow.was_resubmitted, flow.failed_alone = True, False
            if not self._submit(flow):
                self._trouble.set()
        self._busy_since = self._clock()

    def _fail_begun(self, error: EngineError) -> None:
        for flow in list(self.flows.values()):
            if flow.has_begun or flow.was_resubmitted:
                self._fail(flow, error)

    def _fail_all(self, error: EngineError) -> None:
        for flow in list(self.flows.values()):
            self._fail(flow, error)

    def _fail_lone(self) -> None:
        """The batch gave up single generations and lives on."""
        for flow in list(self.flows.values()):
            if flow.failed_alone:
                self._fail(flow, EngineError("The engine gave up this generation."))

    def _fail(self, flow: Flow, error: EngineError) -> None:
        flow.fail(error)
        self.flows.pop(flow.key, None)
