"""Attention of the batch loop on a CPU: every generation attends to its own tokens and to no others.

The library packs all generations of a step into one row and masks what is not theirs: that work, and the copies of keys
and values for it, grow with the square of the batch. Here those that write one token share one call over a padded
batch, without copies for grouped heads, and each prompt has its own.
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
from transformers.integrations.sdpa_attention import repeat_kv, sdpa_attention_forward
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

_NAME = "sdpa"
_BEYOND_US = ("softcap", "position_bias", "s_aux")
"""Arguments that change the scores: whoever passes one gets the library's own attention."""


@dataclasses.dataclass(frozen=True, slots=True)
class _Step:
    """What all layers of one forward pass share. Rows are queries, cells are positions of the cache.

    writers: rows that write one token; cells: theirs, padded, shape [writers, longest]; mask: what of it is theirs,
    shape [writers, 1, 1, longest], None when all; prompts: (first row, last row, first cell, last cell) of the others.
    """

    first_layer: int
    writers: torch.Tensor
    cells: torch.Tensor
    mask: torch.Tensor | None
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
    if not step.prompts:  # most steps: nothing to put together
        return _write_one_each(rows, k_cache, v_cache, step, scaling).unsqueeze(0), None
    out = torch.empty_like(rows, memory_format=torch.contiguous_format)
    if step.cells.numel():
        out[step.writers] = _write_one_each(rows[step.writers], k_cache, v_cache, step, scaling)
    for first, last, first_cell, last_cell in step.prompts:
        is_whole = last - first == last_cell - first_cell
        if is_whole:
            k, v, mask = fresh_k[first:last], fresh_v[first:last], None
        else:
            cells = read_index[first_cell:last_cell]
            k, v, mask = k_cache[cells], v_cache[cells], attention_mask[..., first:last, first_cell:last_cell]
        out[first:last] = _read_prompt(rows[first:last], k, v, mask, scaling)
    return out.unsqueeze(0), None


def _write_one_each(
    rows: torch.Tensor, k_cache: torch.Tensor, v_cache: torch.Tensor, step: _Step, scaling: float | None
) -> torch.Tensor:
    """Each row over its own cells: the heads of a group take the place of rows, so that nothing is copied for them."""
    count, heads, size = rows.shape
    groups = k_cache.size(1)
    shape = (count, -1, groups, size)
    cells = step.cells.view(-1)
    k = k_cache.index_select(0, cells).view(shape).transpose(1, 2)
    v = v_cache.index_select(0, cells).view(shape).transpose(1, 2)
    q = rows.reshape(count, groups, heads // groups, size)
    return scaled_dot_product_attention(q, k, v, attn_mask=step.mask, scale=scaling).reshape(count, heads, size)


def _read_prompt(
    rows: torch.Tensor, k: torch.Tensor, v: torch.Tensor, mask: torch.Tensor | None, scaling: float | None
) -> torch.Tensor:
    """A prompt, or the next part of it, under the causal mask."""
    q, k, v = (part.transpose(0, 1).unsqueeze(0) for part in (rows, k, v))
    repeats = q.size(1) // k.size(1)
    k, v = repeat_kv(k, repeats), repeat_kv(v, repeats)
    out = scaled_dot_product_attention(q, k, v, attn_mask=mask, is_causal=mask is None, scale=scaling)
    return out[0].transpose(0, 1)


def _step_of(layer: int, rows_until: list[int], cells_until: list[int], read_index: torch.Tensor) -> _Step:
    writers: list[int] = []
    spans: list[torch.Tensor] = []
    prompts = []
    for number in range(len(rows_until) - 1):
        first, last = rows_until[number : number + 2]
        first_cell, last_cell = cells_until[number : number + 2]
        if last - first == 1 and last_cell - first_cell > 1:
            writers.append(first)
            spans.append(read_index[first_cell:last_cell])
        elif last > first:
            prompts.append((first, last, first_cell, last_cell))
    cells, mask = _padded(spans)
    return _Step(layer, torch.tensor(writers, dtype=torch.int64), cells, mask, prompts)


def _padded(spans: Sequence[torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor | None]:
    """Spans side by side, the shorter ones filled up with their own first cell, and which cells count."""
    if not spans:
        return torch.empty((0, 0), dtype=torch.int64), None
    if len(spans) == 1:
        return spans[0].unsqueeze(0), None
    lengths = [len(span) for span in spans]
    longest = max(lengths)
    cells = torch.nn.utils.rnn.pad_sequence(list(spans), batch_first=True, padding_value=int(spans[0][0]))
    if min(lengths) == longest:
        return cells, None
    counts = torch.tensor(lengths).unsqueeze(1)
    return cells, (torch.arange(longest).unsqueeze(0) < counts)[:, None, None, :]


_the_librarys: Callable[..., tuple[torch.Tensor, None]] = sdpa_attention_forward
