"""The parameters of a decoder from its config.json: names, shapes, and how many layers have them."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from llmops.fit.weights import Tensor

KINDS = frozenset(
    {"llama", "mistral", "qwen2", "qwen3", "gemma2", "gemma3_text", "phi3", "glm4"}
    | {"mixtral", "qwen3_moe", "deepseek_v2"}
)
"""Values of model_type whose layout was held against the library's own, parameter by parameter."""
_EXPERTS = ("num_experts", "num_local_experts", "n_routed_experts")
_MERGED = ("phi3", "glm4")
_SANDWICHED = ("gemma2", "gemma3_text")
_NUMBER = "*"


def tensors_of(config: Mapping[str, Any]) -> tuple[Tensor, ...]:
    """Each parameter by its name in the library. What is like Llama may have any model_type.

    Raises KeyError where the config lacks a size, ValueError for experts of a family that is not in `KINDS`.
    """
    return tuple(
        Tensor(tensor.name.replace(_NUMBER, str(number)), tensor.shape)
        for numbers, tensors in _blocks(text_of(config))
        for number in numbers
        for tensor in tensors
    )


def alike_tensors_of(config: Mapping[str, Any]) -> tuple[Tensor, ...]:
    """The same with layers that are alike counted, not listed: quick enough to ask about forty models at once."""
    return tuple(
        dataclasses.replace(tensor, copies=len(numbers))
        for numbers, tensors in _blocks(text_of(config))
        for tensor in tensors
    )


def text_of(config: Mapping[str, Any]) -> dict[str, Any]:
    """The part of the config that is about text; of a model that also sees, the one inside."""
    inner = config.get("text_config")
    return {**config, **inner} if isinstance(inner, dict) else dict(config)


def experts_of(text: Mapping[str, Any]) -> int:
    """Of each layer that has any; 0 for a dense model."""
    return max((int(text.get(key) or 0) for key in _EXPERTS), default=0)


def _blocks(text: Mapping[str, Any]) -> Iterator[tuple[range, tuple[Tensor, ...]]]:
    """Tensors that occur once for each number of the range."""
    hidden, words, layers = (int(text[key]) for key in ("hidden_size", "vocab_size", "num_hidden_layers"))
    kind = str(text.get("model_type"))
    if experts_of(text) and kind not in KINDS:
        raise ValueError("the weights of a model with experts can only be counted from its files")
    once = [Tensor("model.embed_tokens.weight", (words, hidden)), Tensor("model.norm.weight", (hidden,))]
    if not text.get("tie_word_embeddings", False):
        once.append(Tensor("lm_head.weight", (words, hidden)))
    yield range(1), (*once, *_sight(int(text.get("vision_parameters", 0))))
    dense = int(text.get("first_k_dense_replace") or 0) if experts_of(text) else layers
    around = (*_attention(text, hidden), *_norms(text, hidden))
    for numbers, mlp in ((range(dense), _mlp), (range(dense, layers), _mixture)):
        if numbers:
            yield numbers, tuple(_named((*around, *mlp(text, hidden))))


def _sight(parameters: int) -> tuple[Tensor, ...]:
    """A vision tower: linear layers nearly all of it, so counted as one."""
    return (Tensor("model.vision_tower.weight", (1, parameters)),) if parameters else ()


def _named(tensors: Iterable[Tensor]) -> Iterator[Tensor]:
    return (dataclasses.replace(tensor, name=f"model.layers.{_NUMBER}.{tensor.name}") for tensor in tensors)


def _attention(text: Mapping[str, Any], hidden: int) -> Iterator[Tensor]:
    kind, heads, size = text.get("model_type"), int(text["num_attention_heads"]), head_size(text)
    if text.get("kv_lora_rank"):
        yield from _latent_attention(text, hidden, heads)
        return
    asking, told = heads * size, int(text.get("num_key_value_heads") or heads) * size
    shapes = {"q_proj": (asking, hidden), "k_proj": (told, hidden), "v_proj": (told, hidden)}
    if kind == "phi3":
        shapes = {"qkv_proj": (asking + 2 * told, hidden)}
    all_of_it = shapes | {"o_proj": (hidden, asking)}
    yield from (Tensor(f"self_attn.{name}.weight", shape) for name, shape in all_of_it.items())
    biased = shapes if kind in ("qwen2", "glm4") else all_of_it
    if kind == "qwen2" or text.get("attention_bias"):
        yield from (Tensor(f"self_attn.{name}.bias", shape[:1]) for name, shape in biased.items())
    if kind in ("qwen3", "qwen3_moe", "gemma3_text"):
        yield from (Tensor(f"self_attn.{name}_norm.weight", (size,)) for name in "qk")


def _latent_attention(text: Mapping[str, Any], hidden: int, heads: int) -> Iterator[Tensor]:
    rank, rope, nope, told = (
        int(text[key]) for key in ("kv_lora_rank", "qk_rope_head_dim", "qk_nope_head_dim", "v_head_dim")
    )
    if text.get("q_lora_rank"):
        asked = int(text["q_lora_rank"])
        yield Tensor("self_attn.q_a_proj.weight", (asked, hidden))
        yield Tensor("self_attn.q_a_layernorm.weight", (asked,))
        yield Tensor("self_attn.q_b_proj.weight", (heads * (nope + rope), asked))
    else:
        yield Tensor("self_attn.q_proj.weight", (heads * (nope + rope), hidden))
    yield Tensor("self_attn.kv_a_proj_with_mqa.weight", (rank + rope, hidden))
    yield Tensor("self_attn.kv_a_layernorm.weight", (rank,))
    yield Tensor("self_attn.kv_b_proj.weight", (heads * (nope + told), rank))
    yield Tensor("self_attn.o_proj.weight", (hidden, heads * told))


def head_size(text: Mapping[str, Any]) -> int:
    """As the config says; only where it says nothing, hidden size by heads."""
    return int(text.get("head_dim") or int(text["hidden_size"]) // int(text["num_attention_heads"]))


def _norms(text: Mapping[str, Any], hidden: int) -> Iterator[Tensor]:
    names = ["input_layernorm", "post_attention_layernorm"]
    if text.get("model_type") in _SANDWICHED:
        names += ["pre_feedforward_layernorm", "post_feedforward_layernorm"]
    if text.get("model_type") == "glm4":
        names += ["post_self_attn_layernorm", "post_mlp_layernorm"]
    return (Tensor(f"{name}.weight", (hidden,)) for name in names)


def _mlp(text: Mapping[str, Any], hidden: int) -> Iterator[Tensor]:
    return _gated("mlp", int(text["intermediate_size"]), hidden, text.get("model_type") in _MERGED)


def _gated(place: str, inner: int, hidden: int, merged: bool = False) -> Iterator[Tensor]:
    if merged:
        yield Tensor(f"{place}.gate_up_proj.weight", (2 * inner, hidden))
    else:
        yield from (Tensor(f"{place}.{name}_proj.weight", (inner, hidden)) for name in ("gate", "up"))
    yield Tensor(f"{place}.down_proj.weight", (hidden, inner))


def _mixture(text: Mapping[str, Any], hidden: int) -> Iterator[Tensor]:
    experts, inner = experts_of(text), expert_size(text)
    yield Tensor("mlp.gate.weight", (experts, hidden))
    yield Tensor("mlp.experts.gate_up_proj", (experts, 2 * inner, hidden))
    yield Tensor("mlp.experts.down_proj", (experts, hidden, inner))
    if text.get("n_shared_experts"):
        yield from _gated("mlp.shared_experts", inner * int(text["n_shared_experts"]), hidden)


def expert_size(text: Mapping[str, Any]) -> int:
    """The inner width of one expert."""
    return int(text.get("moe_intermediate_size") or text["intermediate_size"])
