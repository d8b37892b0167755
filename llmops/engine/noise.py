"""Drawing tokens inside the batch loop: every row has its own temperature, top-k, top-p and seeded chance.

A token is drawn as the largest of `logit + Gumbel noise`, which has the softmax's distribution. The noise of a token is
a hash of (seed, position, token): nothing in it depends on the rest of the batch; the same seed gives the same answer.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

import torch
from transformers.generation.continuous_batching.cb_logits_processors import ContinuousBatchingLogitsProcessorList
from transformers.generation.logits_process import LogitsProcessorList

from llmops.engine.pace import Pace
from llmops.engine.sampling import Draw
from llmops.engine.stalls import LEAST_TOKENS

_GREEDY = Draw(temperature=0.0, top_k=0, top_p=1.0, seed=0)
# Rows of the loop's argument tensor, one column per generation that draws a token in this step.
_TEMPERATURE, _TOP_K, _TOP_P, _KEY, _NUMBER, _GOES_ON = range(6)
# Where a generation without finite logits is noted: far more than can run at once, so no note is overwritten unread.
_NOTES = 4096


class DrawPerRow(ContinuousBatchingLogitsProcessorList):
    """Takes the place of the loop's logits processors; the loop itself then only takes the largest.

    A row whose largest logit is no finite number is ended by `end_id` and its generation's number noted on the device:
    no step waits for the note, and the rows beside it go on.
    skips_idle_work: leave out what no row of a step asks for; not when steps are replayed as recorded graphs.
    pace: is told of each step's begin and end.
    eos_ids: tokens with which the model ends an answer; a row that must go on does not draw them.
    """

    def __init__(
        self,
        *,
        skips_idle_work: bool,
        device: torch.device,
        end_id: int,
        eos_ids: Sequence[int] = (),
        pace: Pace | None = None,
    ) -> None:
        super().__init__(LogitsProcessorList([]))
        self.tensors_required = 6
        self.do_processing = True
        self.stepped_at = time.monotonic()
        self.rows = 0
        """Of the step under way."""
        self.row_s = 0.0
        """What a row of a large step takes, as the last one had it."""
        self.most_rows = 0
        """Of the largest step since somebody set this to 0."""
        self.between_steps: Callable[[], None] | None = None  # called once, by the loop's thread
        self._skips = skips_idle_work
        self._pace = pace
        self._end_id = end_id
        self._notes = torch.zeros(_NOTES + 1, dtype=torch.int32, device=device)  # the last is for the sound rows
        self._eos_ids = torch.tensor(list(eos_ids), dtype=torch.long, device=device)
        self._draws = self._filters = self._goes_on = True
        self._vocabulary: torch.Tensor | None = None

    def check_kwargs(self, kwargs: dict[str, Any]) -> None:
        """What is asked was checked before it came here. Called before a new generation is looked up in the cache."""
        self._between_steps()

    def fill_defaults(self, int32_tensor: torch.Tensor) -> None:
        int32_tensor.copy_(_columns([_GREEDY], [0]))

    def prepare_tensor_args(self, requests_in_batch: Sequence[Any], arg_storage: torch.Tensor) -> torch.Tensor:
        """Called for each step by the loop's thread, before the forward pass."""
        self.stepped_at = time.monotonic()
        self._between_steps()
        for future in requests_in_batch:
            _notice(future, len(requests_in_batch))
        states = [future.state for future in requests_in_batch if future.has_new_token]
        draws = [_draw(state) for state in states]
        self._goes_on = any(state.position_offset < draw.ends_from for state, draw in zip(states, draws, strict=True))
        self._draws = any(draw.temperature > 0 for draw in draws)
        self._filters = any(draw.temperature > 0 and (draw.top_k or draw.top_p < 1) for draw in draws)
        if draws:
            arguments = _columns(draws, [state.position_offset for state in states])
            arg_storage[:6, : len(draws)] = arguments.to(arg_storage.device)
        arg_storage[_NUMBER, len(draws) :] = 0  # padding is nobody's
        rows = sum(future.query_length for future in requests_in_batch)
        self.rows = rows
        self.most_rows = max(self.most_rows, rows)
        if self._pace is not None:
            self._pace.begin(rows)
        return arg_storage

    def __call__(
        self, input_ids: torch.Tensor, scores: torch.Tensor, logits_processor_args: torch.Tensor
    ) -> torch.Tensor:
        drawn = self._drawn(scores, logits_processor_args)
        if self.rows >= LEAST_TOKENS:
            self.row_s = (time.monotonic() - self.stepped_at) / self.rows
        if self._pace is not None:
            self._pace.end()
        return drawn

    def _drawn(self, scores: torch.Tensor, logits_processor_args: torch.Tensor) -> torch.Tensor:
        arguments = logits_processor_args[:, : scores.size(0)]
        if self._goes_on or not self._skips:
            ends = scores[:, self._eos_ids]
            scores[:, self._eos_ids] = ends.masked_fill(arguments[_GOES_ON].bool().unsqueeze(-1), -torch.inf)
        lost = ~scores.amax(dim=-1).isfinite()
        if not self._skips or bool(lost.any()):
            self._end_and_note(scores, lost, arguments[_NUMBER])
        if self._skips and not self._draws:
            return scores
        temperature = arguments[_TEMPERATURE].view(torch.float32).unsqueeze(-1)
        scores = scores / torch.where(temperature > 0, temperature, 1.0)
        if self._filters or not self._skips:
            scores = _filtered(scores, arguments[_TOP_K], arguments[_TOP_P].view(torch.float32))
        noise = gumbel(arguments[_KEY], self._hashed_vocabulary(scores))
        return scores.add_(noise.mul_(temperature > 0))

    def alone(self, draw: Draw, position: int, scores: torch.Tensor) -> torch.Tensor:
        """The same draw outside of the batch loop: the next token of one generation, at `position`."""
        self._draws = draw.temperature > 0
        self._goes_on = position < draw.ends_from
        self._filters = self._draws and (draw.top_k > 0 or draw.top_p < 1)
        return self(scores, scores, _columns([draw], [position]).to(scores.device))

    def lost(self, draw: Draw) -> bool:
        """Whether the generation ended because its logits were no finite numbers. Ask once it has ended."""
        return int(self._notes[draw.number % _NOTES]) == draw.number

    def _between_steps(self) -> None:
        work, self.between_steps = self.between_steps, None
        if work is not None:
            work()

    def _end_and_note(self, scores: torch.Tensor, lost: torch.Tensor, numbers: torch.Tensor) -> None:
        note = torch.where(lost & (numbers > 0), numbers % _NOTES, _NOTES)
        self._notes.scatter_(0, note.long(), numbers)
        scores.masked_fill_(lost.unsqueeze(-1), -torch.inf)
        scores[:, self._end_id].masked_fill_(lost, 0.0)

    def _hashed_vocabulary(self, scores: torch.Tensor) -> torch.Tensor:
        size = scores.size(-1)
        if self._vocabulary is None or self._vocabulary.size(0) != size or self._vocabulary.device != scores.device:
            self._vocabulary = _mix(torch.arange(1, size + 1, dtype=torch.int32, device=scores.device))
        return self._vocabulary


def gumbel(keys: torch.Tensor, hashed_vocabulary: torch.Tensor) -> torch.Tensor:
    """Standard Gumbel noise, one row per key; equal keys have equal rows."""
    bits = _mix(keys.unsqueeze(-1) ^ hashed_vocabulary)
    uniform = bits.bitwise_and_(0x7FFFFFFF).float().add_(0.5).mul_(2.0**-31).clamp_(max=1 - 2.0**-24)
    return uniform.neg_().log1p_().neg_().log_().neg_()


def _mix(bits: torch.Tensor) -> torch.Tensor:
    """A permutation of 32-bit words that spreads each bit over all: `lowbias32` of Chris Wellons' hash-prospector."""
    bits = bits ^ ((bits >> 16) & 0xFFFF)
    bits.mul_(0x7FEB352D)
    bits ^= (bits >> 15) & 0x1FFFF
    bits.mul_(0x846CA68B - (1 << 32))
    bits ^= (bits >> 16) & 0xFFFF
    return bits


def _filtered(scores: torch.Tensor, top_k: torch.Tensor, top_p: torch.Tensor) -> torch.Tensor:
    """First top-k, then top-p of what is left; at least the best token stays."""
    ranked = scores.sort(dim=-1, descending=True).values
    rank = torch.arange(ranked.size(-1), device=scores.device)
    beyond = (top_k.unsqueeze(-1) > 0) & (rank >= top_k.unsqueeze(-1))
    share = ranked.masked_fill(beyond, -torch.inf).softmax(dim=-1)
    better = share.cumsum(dim=-1) - share
    kept = ((better < top_p.unsqueeze(-1)) & ~beyond).sum(dim=-1, keepdim=True).clamp(min=1)
    return scores.masked_fill(scores < ranked.gather(-1, kept - 1), -torch.inf)


def _columns(draws: Sequence[Draw], positions: Sequence[int]) -> torch.Tensor:
    reals = torch.tensor([[draw.temperature for draw in draws], [draw.top_p for draw in draws]], dtype=torch.float32)
    keys = [draw.key(position) for draw, position in zip(draws, positions, strict=True)]
    goes_on = [position < draw.ends_from for draw, position in zip(draws, positions, strict=True)]
    rows = [[draw.top_k for draw in draws], keys, [draw.number for draw in draws], goes_on]
    whole = torch.tensor(rows, dtype=torch.int32)
    bits = reals.view(torch.int32)
    return torch.stack([bits[0], whole[0], bits[1], whole[1], whole[2], whole[3]])


def _draw(state: Any) -> Draw:
    """The loop warms itself up with generations that are not ours."""
    draw = state.logit_processor_kwargs.get("draw", _GREEDY)
    return draw if isinstance(draw, Draw) else _GREEDY


def _notice(future: Any, batch_size: int) -> None:
    draw = _draw(future.state)
    if draw is _GREEDY:
        return
    draw.batch_size = batch_size
    if draw.cached_tokens is None:  # the first step: what lies before its tokens came from the cache
        draw.cached_tokens = future.state.position_offset - future.query_length
