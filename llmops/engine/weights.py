"""How many bytes a model's weights take: arithmetic from shapes alone, before anything is loaded.

Sources of the constants: bitsandbytes 0.50 keeps one scale for each block of 64 weights (NF4; float32, or with double
quantisation one byte and a float32 for each 256 scales) and one float32 for each row (LLM.int8). It replaces the
linear layers only: embeddings, the output head and norms keep the compute type, and so do experts, which
transformers 5 holds as one parameter and not as layers.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from math import ceil, prod
from typing import Any

from llmops.engine.dials import Quantization

BYTES_PER_PARAMETER: Mapping[Quantization, float] = {
    "nf4": 1 / 2 + 4 / 64,  # 0.5625
    "nf4-double": 1 / 2 + 1 / 64 + 4 / (64 * 256),  # 0.5159
    "int8": 1.0,
}
"""Of a large quantised layer; without quantisation it is the size of the compute type."""
_BLOCK = 64
_BLOCKS = 256
_CODE_BYTES = 4 * 16
_NESTED_CODE_BYTES = 4 * 256 + 4  # the code of the scales, and their mean
_KEPT = ("embed", "embd", "wte", "wpe", "lm_head", "norm", ".experts.")


@dataclasses.dataclass(frozen=True, slots=True)
class Tensor:
    """A parameter by the name that it has in the file."""

    name: str
    shape: tuple[int, ...]

    @property
    def parameters(self) -> int:
        return prod(self.shape)

    @property
    def is_quantisable(self) -> bool:
        """Whether bitsandbytes takes it: the matrix of a linear layer that is not the output head."""
        return len(self.shape) == 2 and self.name.endswith(".weight") and not any(part in self.name for part in _KEPT)


def weight_bytes(tensors: Iterable[Tensor], quantization: Quantization, compute_bytes: int) -> int:
    """Bytes in memory after loading. compute_bytes: of one number of the compute type, 2 for bfloat16."""
    return sum(
        _quantised_bytes(tensor.shape, quantization)
        if quantization != "none" and tensor.is_quantisable
        else tensor.parameters * compute_bytes
        for tensor in tensors
    )


def repacked_bytes(tensors: Iterable[Tensor], quantization: Quantization, compute_bytes: int) -> int:
    """The same after the first answer on a CPU that computes in bfloat16 (AVX512-BF16).

    bitsandbytes repacks 4-bit weights there: two bytes for each scale, and double quantisation is undone.
    """
    if quantization not in ("nf4", "nf4-double"):
        return weight_bytes(tensors, quantization, compute_bytes)
    return sum(
        tensor.parameters // 2 + 2 * ceil(tensor.parameters / _BLOCK) + _CODE_BYTES
        if tensor.is_quantisable
        else tensor.parameters * compute_bytes
        for tensor in tensors
    )


def tensors_of(config: Mapping[str, Any]) -> tuple[Tensor, ...]:
    """The parameters of a dense decoder from its config.json: Llama, Mistral, Qwen2, Qwen3 and what is built like them.

    Raises KeyError where the config lacks a size, ValueError for experts, whose layout differs from family to family.
    """
    text = config.get("text_config") or config
    if any(text.get(key) for key in ("num_experts", "num_local_experts", "n_routed_experts")):
        raise ValueError("the weights of a model with experts can only be counted from its files")
    hidden, words = int(text["hidden_size"]), int(text["vocab_size"])
    tied = text.get("tie_word_embeddings", config.get("tie_word_embeddings", False))
    head = () if tied else (Tensor("lm_head.weight", (words, hidden)),)
    layers = tuple(
        Tensor(f"model.layers.{number}.{tensor.name}", tensor.shape)
        for number in range(int(text["num_hidden_layers"]))
        for tensor in _layer(text, hidden)
    )
    return (
        Tensor("model.embed_tokens.weight", (words, hidden)),
        *layers,
        Tensor("model.norm.weight", (hidden,)),
        *head,
    )


def _layer(text: Mapping[str, Any], hidden: int) -> tuple[Tensor, ...]:
    heads, mlp = int(text["num_attention_heads"]), int(text["intermediate_size"])
    size = int(text.get("head_dim") or hidden // heads)
    asking, told = heads * size, int(text.get("num_key_value_heads") or heads) * size
    attention = {
        "q_proj": (asking, hidden),
        "k_proj": (told, hidden),
        "v_proj": (told, hidden),
        "o_proj": (hidden, asking),
    }
    matrices = {f"self_attn.{name}": shape for name, shape in attention.items()} | {
        "mlp.gate_proj": (mlp, hidden),
        "mlp.up_proj": (mlp, hidden),
        "mlp.down_proj": (hidden, mlp),
    }
    family = text.get("model_type")
    biased = (
        ("q_proj", "k_proj", "v_proj") if family == "qwen2" else tuple(attention) if text.get("attention_bias") else ()
    )
    lines = [("input_layernorm.weight", hidden), ("post_attention_layernorm.weight", hidden)]
    lines += [(f"self_attn.{name}.bias", attention[name][0]) for name in biased]
    if family == "qwen3":
        lines += [("self_attn.q_norm.weight", size), ("self_attn.k_norm.weight", size)]
    return (
        *(Tensor(f"{name}.weight", shape) for name, shape in matrices.items()),
        *(Tensor(name, (length,)) for name, length in lines),
    )


def _quantised_bytes(shape: tuple[int, ...], quantization: Quantization) -> int:
    count = prod(shape)
    if quantization == "int8":
        return count + 4 * shape[0]
    blocks = ceil(count / _BLOCK)
    if quantization == "nf4":
        return ceil(count / 2) + 4 * blocks + _CODE_BYTES
    return ceil(count / 2) + blocks + 4 * ceil(blocks / _BLOCKS) + _CODE_BYTES + _NESTED_CODE_BYTES
