"""Attention of the batch loop on a CPU: every generation attends to its own tokens and to no others.

The library packs all generations of a step into one row and masks what is not theirs: that work, and the copies of keys
and values for it, grow with the square of the batch. Here generations that write one token share a call with others of
about their length, without copies for grouped heads, and each prompt has its own.
"""

from __future__ import annotations

import dataclasses
import weakref
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch.nn.functional import scaled_dot_product_attention
from transformers.generation.continuous_batching.cache import PagedAttentionCache
from transformers.generation.continuous_batching.cache_allocators.full_attention import FullAttentionCacheAllocator
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

_NAME = "sdpa"
_BEYOND_US = ("softcap", "position_bias", "s_aux")
"""Arguments that change the scores: a model that passes one gets the library's own attention."""
_attend_part: Callable[..., tuple[torch.Tensor, torch.Tensor]] = (
    torch.ops.aten._scaled_dot_product_flash_attention_for_cpu
)
"""What `scaled_dot_product_attention` calls on a CPU. It also gives the logarithm of each row's sum of exponentials, by
which attention to parts of the cells is put together (Dao et al., FlashAttention, 2022, section 3.1)."""
_RUN = 512
"""Cells next to each other that are read where they lie: copying them takes longer than one more call."""
_CELLS_OF_A_CALL = 256
"""Padding that takes as long as one more call: 20 to 60 us against 0.13 to 0.17 us a cell (one layer, two cores)."""


@dataclasses.dataclass(frozen=True, slots=True)
class _Group:
    """Generations of about one length that write one token each. Rows are queries, cells positions of the cache.

    rows: of the step's queries, None for all in their order; cells: theirs, padded, shape [rows, longest]; mask: what
    of it is theirs, shape [rows, 1, 1, longest], None for all; runs: more cells of a single generation, which lie next
    to each other.
    """

    rows: torch.Tensor | None
    cells: torch.Tensor
    mask: torch.Tensor | None
    runs: Sequence[slice] = ()


@dataclasses.dataclass(frozen=True, slots=True)
class _Step:
    """What all layers of one forward pass share. prompts: (first row, last row, first cell, last cell) of each."""

    first_layer: int
    groups: Sequence[_Group]
    prompts: Sequence[tuple[int, int, int, int]]


_steps: weakref.WeakKeyDictionary[PagedAttentionCache, _Step] = weakref.WeakKeyDictionary()


def install() -> None:
    """From now on "sdpa" is this where a batch loop runs on a CPU, and the library's own elsewhere. Idempotent."""
    ALL_ATTENTION_FUNCTIONS[_NAME] = attend


def attend(
    module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    scaling: float | None = None,
    cache: PagedAttentionCache | None = None,
    **others: Any,
) -> tuple[torch.Tensor, None]:
    """The library's attention interface: query [1, heads, rows, size], key and value [1, groups, rows, size].

    Gives [1, rows, heads, size].
    """
    layer: int | None = getattr(module, "layer_idx", None)
    allocator = None if cache is None or layer is None else cache.layer_to_allocator[layer]
    if (
        not isinstance(cache, PagedAttentionCache)
        or layer is None
        or attention_mask is None
        or not isinstance(allocator, FullAttentionCacheAllocator)
        or query.device.type != "cpu"
        or any(others.get(name) is not None for name in _BEYOND_US)
    ):
        return _the_librarys(module, query, key, value, attention_mask, scaling=scaling, cache=cache, **others)
    step = _steps.get(cache)
    read_index = others["read_index"][allocator.index]
    if step is None or layer <= step.first_layer:
        cells_until = others["cu_seq_lens_k"][allocator.layer_type].tolist()
        step = _step_of(layer, others["cu_seq_lens_q"].tolist(), cells_until, read_index)
        _steps[cache] = step
    k_cache, v_cache = allocator._kv_token_views[layer]
    fresh_k, fresh_v = key[0].transpose(0, 1), value[0].transpose(0, 1)
    write_index = others["write_index"][allocator.index]
    k_cache.index_copy_(0, write_index, fresh_k)
    v_cache.index_copy_(0, write_index, fresh_v)
    rows = query[0].transpose(0, 1)  # [rows, heads, size]
    if len(step.groups) == 1 and step.groups[0].rows is None:  # most steps: nothing to put together
        return _write_one_each(rows, k_cache, v_cache, step.groups[0], scaling).unsqueeze(0), None
    out = torch.empty_like(rows, memory_format=torch.contiguous_format)
    for group in step.groups:
        out[group.rows] = _write_one_each(rows[group.rows], k_cache, v_cache, group, scaling)
    for first, last, first_cell, last_cell in step.prompts:
        is_whole = last - first == last_cell - first_cell
        if is_whole:
            k, v, mask = fresh_k[first:last], fresh_v[first:last], None
        else:
            cells = read_index[first_cell:last_cell]
            k, v = _gather(k_cache, cells), _gather(v_cache, cells)
            mask = attention_mask[..., first:last, first_cell:last_cell]
        out[first:last] = _read_prompt(rows[first:last], k, v, mask, scaling)
    return out.unsqueeze(0), None


def _write_one_each(
    rows: torch.Tensor, k_cache: torch.Tensor, v_cache: torch.Tensor, group: _Group, scaling: float | None
) -> torch.Tensor:
    """Each row over its own cells: the heads of a group take the place of rows, so that nothing is copied for them."""
    count, heads, size = rows.shape
    groups = k_cache.size(1)
    shape = (count, -1, groups, size)
    cells = group.cells.view(-1)
    k = _gather(k_cache, cells).view(shape).transpose(1, 2)
    v = _gather(v_cache, cells).view(shape).transpose(1, 2)
    q = rows.reshape(count, groups, heads // groups, size)
    if not group.runs:
        return scaled_dot_product_attention(q, k, v, attn_mask=group.mask, scale=scaling).reshape(count, heads, size)
    out, weight = _attend_part(q, k, v, scale=scaling)
    for run in group.runs:
        k, v = (cache[run].transpose(0, 1).unsqueeze(0) for cache in (k_cache, v_cache))
        more, more_weight = _attend_part(q, k, v, scale=scaling)
        out = torch.lerp(out, more, torch.sigmoid(more_weight - weight).unsqueeze(-1).to(out.dtype))
        weight = torch.logaddexp(weight, more_weight)
    return out.reshape(count, heads, size)


def _gather(cache: torch.Tensor, cells: torch.Tensor) -> torch.Tensor:
    """cache [cells, groups, size]: those cells of it. As rows of two dimensions torch copies each in one piece."""
    return cache.flatten(1).index_select(0, cells).view(-1, *cache.shape[1:])


def _read_prompt(
    rows: torch.Tensor, k: torch.Tensor, v: torch.Tensor, mask: torch.Tensor | None, scaling: float | None
) -> torch.Tensor:
    """A prompt, or the next part of it, under the causal mask."""
    q, k, v = (part.transpose(0, 1).unsqueeze(0) for part in (rows, k, v))
    out = scaled_dot_product_attention(q, k, v, attn_mask=mask, is_causal=mask is None, scale=scaling, enable_gqa=True)
    return out[0].transpose(0, 1)


def _step_of(layer: int, rows_until: list[int], cells_until: list[int], read_index: torch.Tensor) -> _Step:
    writers: list[tuple[int, int, int]] = []  # (cells, row, first cell)
    prompts = []
    for number in range(len(rows_until) - 1):
        first, last = rows_until[number : number + 2]
        first_cell, last_cell = cells_until[number : number + 2]
        if last - first == 1 and last_cell - first_cell > 1:
            writers.append((last_cell - first_cell, first, first_cell))
        elif last > first:
            prompts.append((first, last, first_cell, last_cell))
    groups = [_group(members, read_index) for members in _alike(writers)]
    if len(groups) == 1 and not prompts:
        groups = [_group(writers, read_index, are_all=True)]
    return _Step(layer, groups, prompts)


def _alike(writers: Sequence[tuple[int, int, int]]) -> list[list[tuple[int, int, int]]]:
    """Parts whose padding costs less than a call for another part would; each item begins with its length."""
    parts: list[list[tuple[int, int, int]]] = []
    padding = 0
    for writer in sorted(writers):
        if parts:
            padding += len(parts[-1]) * (writer[0] - parts[-1][-1][0])
        if not parts or padding > _CELLS_OF_A_CALL:
            parts.append([])
            padding = 0
        parts[-1].append(writer)
    return parts


def _group(members: Sequence[tuple[int, int, int]], read_index: torch.Tensor, *, are_all: bool = False) -> _Group:
    rows = None if are_all else torch.tensor([row for _, row, _ in members], dtype=torch.int64)
    spans = [read_index[first : first + length] for length, _, first in members]
    if len(spans) == 1:
        runs, rest = _runs(spans[0])
        return _Group(rows, rest.unsqueeze(0), None, runs)
    return _Group(rows, *_padded(spans))


def _runs(span: torch.Tensor) -> tuple[list[slice], torch.Tensor]:
    """The long runs of cells that lie next to each other, and the other cells: at least the last one."""
    runs, rest = [], [span[-1:]]
    for piece in span[:-1].tensor_split((span[:-1].diff() != 1).nonzero().flatten() + 1):
        if len(piece) < _RUN:
            rest.append(piece)
        else:
            runs.append(slice(int(piece[0]), int(piece[-1]) + 1))
    return runs, torch.cat(rest)


def _padded(spans: Sequence[torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor | None]:
    """Spans side by side, the shorter ones filled up with the first cell of all, and which cells count."""
    lengths = [len(span) for span in spans]
    longest = max(lengths)
    cells = torch.nn.utils.rnn.pad_sequence(list(spans), batch_first=True, padding_value=int(spans[0][0]))
    if min(lengths) == longest:
        return cells, None
    counts = torch.tensor(lengths).unsqueeze(1)
    return cells, (torch.arange(longest).unsqueeze(0) < counts)[:, None, None, :]


_the_librarys: Callable[..., tuple[torch.Tensor, None]] = sdpa_attention_forward
