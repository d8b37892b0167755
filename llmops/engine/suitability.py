"""Which models continuous batching can't take: asked before it is tried, because some would answer nonsense in it."""

from __future__ import annotations

from typing import Any

UNSUITED = (AttributeError, KeyError, NotImplementedError, TypeError, ValueError)
"""How the library fails at a model that it was not made for; memory and lost devices fail otherwise."""


def why_not_batched(model: Any) -> str | None:
    """A part of a sentence, as in "it can't be batched, because ..."; None where it can."""
    from transformers.generation.continuous_batching.cache import group_layers_by_attn_type

    config = model.config.get_text_config()
    if getattr(config, "is_encoder_decoder", False):
        return "it has an encoder"
    if getattr(model, "_is_stateful", False):
        return "it carries a recurrent state instead of a cache of pages"
    if getattr(model.config, "vision_config", None) is not None:
        return "it also reads pictures, and its positions are not those of text"
    try:
        group_layers_by_attn_type(config)
    except ValueError as error:
        return f"of its layers ({str(error).strip().rstrip('.').lower()})"
    if not getattr(model, "_supports_attention_backend", False):  # its own attention would not look into the pages
        return "its attention can't be exchanged"
    return None
