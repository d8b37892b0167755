"""Messages into prompt tokens, under the model's chat template."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from llmops.engine.contract import Message
from llmops.engine.errors import BadPrompt


def encode_chat(tokenizer: Any, messages: Sequence[Message]) -> list[int]:
    """Raises BadPrompt. Safe to call from several threads: the template and the fast tokenizer keep no state."""
    if not messages:
        raise BadPrompt("messages is empty: give at least one message.")
    if not tokenizer.chat_template:
        raise BadPrompt("This model has no chat template: load an instruction-tuned model to chat.")
    text = _render(tokenizer, [{"role": message.role, "content": message.content} for message in messages])
    fast = getattr(tokenizer, "backend_tokenizer", None)
    if fast is None:
        return list(tokenizer.encode(text, add_special_tokens=False))
    return list(fast.encode(text, add_special_tokens=False).ids)


def _render(tokenizer: Any, turns: list[dict[str, str]]) -> str:
    from jinja2 import TemplateError

    try:
        return str(tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True))
    except (TemplateError, LookupError, TypeError, ValueError) as error:
        reason = str(error).strip().rstrip(".") or type(error).__name__
        raise BadPrompt(f"The model's chat template refuses these messages: {reason}.") from error
