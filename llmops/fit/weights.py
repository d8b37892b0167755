"""How many bytes a model's weights take: arithmetic from shapes alone, before anything is loaded.

Sources of the constants: bitsandbytes 0.50 keeps one scale for each block of 64 weights (NF4; float32, or with double
quantisation one byte and a float32 for each 256 scales) and one float32 for each row (LLM.int8). It replaces the
linear layers only: embeddings, the output head and norms keep the compute type, and so do experts, which
transformers 5 holds as one parameter and not as layers. GPTQ and AWQ with groups of 128 keep a float16 scale and a zero
point of the weights' width for each group; GPTQ an int32 for each input too.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from math import ceil, prod
from typing import Literal, TypeAlias

Scheme: TypeAlias = Literal["none", "nf4", "nf4-double", "int8", "gptq-int4", "gptq-int8", "awq"]
"""How linear layers are stored. The engine quantises the first four itself; GPTQ and AWQ come in the files."""

BYTES_PER_PARAMETER: Mapping[Scheme, float] = {
    "nf4": 1 / 2 + 4 / 64,  # 0.5625
    "nf4-double": 1 / 2 + 1 / 64 + 4 / (64 * 256),  # 0.5159
    "int8": 1.0,
    "gptq-int4": 1 / 2 + 2 / 128 + 1 / 256,  # 0.5195
    "gptq-int8": 1.0 + 2 / 128 + 1 / 128,
    "awq": 1 / 2 + 2 / 128 + 1 / 256,
}
"""Of a large quantised layer; without quantisation it is the size of the compute type."""
_BLOCK = 64
_BLOCKS = 256
_GROUP = 128
_CODE_BYTES = 4 * 16
_NESTED_CODE_BYTES = 4 * 256 + 4  # the code of the scales, and their mean
_KEPT = ("embed", "embd", "wte", "wpe", "lm_head", "norm", ".experts", ".mlp.gate.", "_moe.gate.")


@dataclasses.dataclass(frozen=True, slots=True)
class Tensor:
    """A parameter by the name that it has in the file; `copies` of it where layers are alike."""

    name: str
    shape: tuple[int, ...]
    copies: int = 1

    @property
    def parameters(self) -> int:
        """Of one copy."""
        return prod(self.shape)

    @property
    def is_quantisable(self) -> bool:
        """Whether bitsandbytes takes it: the matrix of a linear layer that is not the output head."""
        return len(self.shape) == 2 and self.name.endswith(".weight") and not any(part in self.name for part in _KEPT)


def weight_bytes(tensors: Iterable[Tensor], scheme: Scheme, compute_bytes: int) -> int:
    """Bytes in memory after loading. compute_bytes: of one number of the compute type, 2 for bfloat16."""
    return sum(tensor.copies * sum(stored_bytes(tensor, scheme, compute_bytes)) for tensor in tensors)


def stored_bytes(tensor: Tensor, scheme: Scheme, compute_bytes: int) -> tuple[int, ...]:
    """Of one copy, each of the tensors that it becomes: the numbers, then their scales."""
    if scheme == "none" or not tensor.is_quantisable:
        return (tensor.parameters * compute_bytes,)
    count, rows, inputs = tensor.parameters, tensor.shape[0], tensor.shape[1]
    if scheme == "int8":
        return (count, 4 * rows)
    if scheme in ("nf4", "nf4-double"):
        return (ceil(count / 2), *_scales(ceil(count / _BLOCK), scheme), _CODE_BYTES)
    groups = ceil(inputs / _GROUP) * rows
    halves = 2 if scheme == "gptq-int8" else 1
    grouped = (ceil(count * halves / 2), 2 * groups, ceil(groups * halves / 2))
    return grouped if scheme == "awq" else (*grouped, 4 * inputs)


def _scales(blocks: int, scheme: Scheme) -> tuple[int, ...]:
    return (4 * blocks,) if scheme == "nf4" else (blocks, 4 * ceil(blocks / _BLOCKS), _NESTED_CODE_BYTES)


def repacked_bytes(tensors: Iterable[Tensor], scheme: Scheme, compute_bytes: int) -> int:
    """The same after the first answer on a CPU that computes in bfloat16 (AVX512-BF16).

    bitsandbytes repacks 4-bit weights there: two bytes for each scale, and double quantisation is undone.
    """
    if scheme not in ("nf4", "nf4-double"):
        return weight_bytes(tensors, scheme, compute_bytes)
    return sum(
        tensor.copies
        * (
            tensor.parameters // 2 + 2 * ceil(tensor.parameters / _BLOCK) + _CODE_BYTES
            if tensor.is_quantisable
            else tensor.parameters * compute_bytes
        )
        for tensor in tensors
    )
