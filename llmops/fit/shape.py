"""The sizes that cache and activations depend on, from a config.json."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from llmops.fit.layers import expert_size, experts_of, head_size, text_of

_GEMMA3_PATTERN = 6
_PERIODS = {"gemma2": 2, "gemma3_text": _GEMMA3_PATTERN}
"""Of so many layers one sees everything, where the config does not list its layers."""
_OWN_STATE = "linear_attention"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """Widths are in numbers, for each token and layer.

    cache_width: what a layer remembers of a token. full_layers and window_layers remember; others have a fixed state.
    window: how many tokens the latter remember.
    mlp_width: what is alive inside the feed-forward part when it needs most, beside the four hidden states around it.
    rotary_width: the angles that all layers share.
    active_share: of the experts, how many answer a token; 1 without any.
    context: the longest conversation that the model was made for; None where the config says nothing.
    """

    hidden: int
    layers: int
    full_layers: int
    window_layers: int
    window: int
    cache_width: int
    inner: int
    mlp_width: int
    rotary_width: int
    vocabulary: int
    kv_heads: int
    context: int | None
    active_share: float


def shape_of(config: Mapping[str, Any]) -> Shape:
    """Raises KeyError where the config lacks a size."""
    text = text_of(config)
    hidden, layers, size = int(text["hidden_size"]), int(text["num_hidden_layers"]), head_size(text)
    kv_heads = int(text.get("num_key_value_heads") or text["num_attention_heads"])
    windowed, window = _windowed(text, layers)
    context = text.get("max_position_embeddings")
    latent = int(text.get("kv_lora_rank") or 0)
    rope = int(text.get("qk_rope_head_dim") or 0)
    return Shape(
        hidden=hidden,
        layers=layers,
        full_layers=layers - windowed - _states(text),
        window_layers=windowed,
        window=window,
        cache_width=latent + rope if latent else 2 * kv_heads * size,
        inner=int(text.get("intermediate_size") or 0),
        mlp_width=_mlp_width(text, hidden),
        rotary_width=2 * size * (2 if text.get("model_type") == "gemma3_text" else 1),
        vocabulary=int(text["vocab_size"]),
        kv_heads=kv_heads,
        context=int(context) if context else None,
        active_share=_chosen(text) / experts if (experts := experts_of(text)) else 1.0,
    )


def _windowed(text: Mapping[str, Any], layers: int) -> tuple[int, int]:
    """How many layers see a window only, and how long it is."""
    window = int(text.get("sliding_window") or 0)
    listed = text.get("layer_types")
    if isinstance(listed, list):
        return (sum(kind == "sliding_attention" for kind in listed) if window else 0), window
    if not window or text.get("use_sliding_window") is False or text.get("model_type") in ("qwen2", "qwen3"):
        return 0, 0
    period = _PERIODS.get(str(text.get("model_type")))
    return (layers if period is None else layers - layers // period), window


def _states(text: Mapping[str, Any]) -> int:
    listed = text.get("layer_types")
    return sum(kind == _OWN_STATE for kind in listed) if isinstance(listed, list) else 0


def _chosen(text: Mapping[str, Any]) -> int:
    return int(text.get("num_experts_per_tok") or 1)


def _mlp_width(text: Mapping[str, Any], hidden: int) -> int:
    """Gate, up and their product; where gate and up are one matrix, its whole result lives on.

    With experts each chosen one takes its own row of hidden states, and the results are put in order again.
    """
    if experts_of(text):
        return _chosen(text) * max(4 * hidden, hidden + 4 * expert_size(text))
    return int(text["intermediate_size"]) * (4 if text.get("model_type") in ("phi3", "glm4") else 3)
