"""A prompt into tokens: a conversation under the model's chat template, bare text as it is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from llmops.engine.contract import Message, Prompt, TemplateOptions
from llmops.engine.errors import BadPrompt, UnsupportedField
from llmops.engine.template_variables import template_variables
from llmops.engine.turns import turns_of

_DEFAULTS = TemplateOptions()


def encode(tokenizer: Any, prompt: Prompt, template: TemplateOptions = _DEFAULTS) -> list[int]:
    """Raises BadPrompt. Safe to call from several threads: the template and the fast tokenizer keep no state.

    Only bare text gets the special tokens that the tokenizer adds by itself: a template writes its own.
    """
    is_bare = isinstance(prompt, str)
    text = prompt if isinstance(prompt, str) else _render(tokenizer, prompt, template)
    if not text:
        raise BadPrompt("prompt is empty: give some text.")
    fast = getattr(tokenizer, "backend_tokenizer", None)
    if fast is None:
        return list(tokenizer.encode(text, add_special_tokens=is_bare))
    return list(fast.encode(text, add_special_tokens=is_bare).ids)


def _render(tokenizer: Any, messages: Sequence[Message], options: TemplateOptions) -> str:
    from jinja2 import TemplateError

    if not messages:
        raise BadPrompt("messages is empty: give at least one message.")
    if not tokenizer.chat_template:
        raise BadPrompt("This model has no chat template: load an instruction-tuned model to chat.")
    template = tokenizer.get_chat_template()
    variables = template_variables(template, options)
    try:
        return str(
            tokenizer.apply_chat_template(
                turns_of(messages, template),
                tokenize=False,
                add_generation_prompt=options.add_generation_prompt and not options.continue_final_message,
                continue_final_message=options.continue_final_message,
                **variables,
            )
        )
    except (TemplateError, LookupError, TypeError, ValueError) as error:
        if options.continue_final_message and isinstance(error, ValueError):  # its words repeat the prompt
            raise UnsupportedField(
                "continue_final_message is not possible: the model's chat template does not write the last message as "
                "it is.",
                "continue_final_message",
            ) from error
        reason = str(error).strip().rstrip(".") or type(error).__name__
        raise BadPrompt(f"The model's chat template refuses these messages: {reason}.") from error
