"""How much GPU memory a model takes at its peak, part by part; docs/decisions says where each number comes from."""

from __future__ import annotations

import dataclasses
from functools import lru_cache

from llmops.fit.allocator import SMALL_BYTES, held_bytes
from llmops.fit.model import Model
from llmops.fit.shape import Shape
from llmops.fit.weights import Scheme, stored_bytes

_GIB = 1 << 30
CONTEXT_BYTES = int(0.6 * _GIB)
"""The CUDA context of a process: 0.45 to 0.75 GiB in nvidia-smi from card to card, and not seen by torch."""
WORKSPACE_BYTES = 8_519_680
"""cuBLAS's, as torch sets it up (CublasHandlePool.cpp: 4096 KiB twice and 16 KiB eight times; 32 MiB on Hopper)."""
COMPUTE_BYTES = 2
_AROUND = 4
"""Hidden states alive around a feed-forward part: embeddings, the layer's input, residual, what was normalised."""
_POSITION_BYTES = 8
_CHOOSING_BYTES = 40
"""For each word of the vocabulary: logits in float32, sorted and summed with an int64 index, to choose a token."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Need:
    """Peak bytes on one card. context: what the process takes before torch does anything."""

    weights: int
    cache: int
    activations: int
    dequantised: int = 0
    context: int = CONTEXT_BYTES

    @property
    def torch(self) -> int:
        """What torch.cuda.max_memory_allocated will say."""
        return self.weights + self.cache + self.activations + self.dequantised

    @property
    def total(self) -> int:
        """What must be free on the card."""
        return self.torch + self.context


def need(model: Model, scheme: Scheme, *, prompt: int, answer: int = 0, batch: int = 1) -> Need:
    """The worse of two moments: the prompt was just read, or the answer has its last token."""
    weights = resident_bytes(model, scheme)
    fixed = _fixed_bytes(model, batch)
    kept = _kept_dequantised_bytes(model, scheme)
    moments = [
        Need(
            weights=weights,
            cache=batch * cache_bytes(model.shape, prompt, windows=False),
            activations=fixed + _prefill_bytes(model, scheme, batch * prompt),
            dequantised=kept,
        ),
        Need(
            weights=weights,
            cache=_grown_bytes(model.shape, prompt + answer, batch),
            activations=fixed,
            dequantised=max(kept, _passing_bytes(model, scheme)),
        ),
    ]
    if scheme == "awq" and model.is_tied:  # the files bring the head too, and it is let go after loading
        moments.append(Need(weights=weights + model.embedding_bytes, cache=0, activations=0))
    return max(moments, key=lambda moment: moment.torch)


def step_bytes(model: Model, scheme: Scheme, *, tokens: int, answers: int) -> int:
    """One forward pass over `tokens` of any conversations, of which `answers` get a token, beside weights and cache.
    Raises KeyError and ValueError where the config lacks a size."""
    return _fixed_bytes(model, answers) + _prefill_bytes(model, scheme, tokens)


def _fixed_bytes(model: Model, answers: int) -> int:
    return WORKSPACE_BYTES + answers * _CHOOSING_BYTES * model.shape.vocabulary


@lru_cache(maxsize=1024)
def resident_bytes(model: Model, scheme: Scheme) -> int:
    """Weights as they lie on the card."""
    if model.stored_bytes is not None:
        return model.stored_bytes
    return sum(
        tensor.copies * sum(map(held_bytes, stored_bytes(tensor, scheme, COMPUTE_BYTES))) for tensor in model.tensors
    )


def cache_bytes_per_token(shape: Shape) -> int:
    """While no window is full."""
    return (shape.full_layers + shape.window_layers) * shape.cache_width * COMPUTE_BYTES


def cache_bytes(shape: Shape, tokens: int, *, windows: bool = True) -> int:
    """Of one conversation. windows: layers with a window forget; they do so when the first token was written."""
    seen = min(tokens, shape.window) if windows else tokens
    return (shape.full_layers * tokens + shape.window_layers * seen) * shape.cache_width * COMPUTE_BYTES


def _grown_bytes(shape: Shape, tokens: int, batch: int) -> int:
    """With the rests that the allocator leaves: on average half of 1 MiB at each key and value that is larger."""
    each = batch * tokens * shape.cache_width * COMPUTE_BYTES // 2
    rest = SMALL_BYTES // 2 if each > SMALL_BYTES else 0
    return batch * cache_bytes(shape, tokens) + 2 * rest * (shape.full_layers + shape.window_layers)


def _prefill_bytes(model: Model, scheme: Scheme, tokens: int) -> int:
    """What a forward pass holds at its widest place, which is inside a feed-forward part."""
    shape = model.shape
    around = (_AROUND * shape.hidden + shape.rotary_width) * COMPUTE_BYTES + _POSITION_BYTES
    inside = tokens * shape.mlp_width * COMPUTE_BYTES
    if scheme == "int8" and shape.active_share == 1.0:
        # gate, and up as float16, int32 and bfloat16: LLM.int8 multiplies into int32
        inside = tokens * (8 * shape.inner + 3 * shape.hidden)
    before = tokens * (shape.mlp_width - shape.inner) * COMPUTE_BYTES + _passing_bytes(model, scheme)
    return tokens * around + max(inside, before)


def _passing_bytes(model: Model, scheme: Scheme) -> int:
    """bitsandbytes makes one 4-bit weight whole at a time where more than one token is multiplied."""
    return model.largest_linear * COMPUTE_BYTES if scheme in ("nf4", "nf4-double") else 0


def _kept_dequantised_bytes(model: Model, scheme: Scheme) -> int:
    """GPTQ's kernels keep a place for the largest weight made whole."""
    return model.largest_linear * COMPUTE_BYTES if scheme == "gptq-int4" else 0
