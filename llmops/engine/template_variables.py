"""Variables of a chat template that a request may set, such as `enable_thinking`: given to the template or refused."""

from __future__ import annotations

import functools
import inspect
from typing import Any

from llmops.engine.contract import TemplateOptions
from llmops.engine.errors import UnsupportedField

FIELD = "chat_template_kwargs"
_EFFORT, _THINKING = "reasoning_effort", ("enable_thinking", "thinking")


def template_variables(template: str, options: TemplateOptions) -> dict[str, Any]:
    """By name, as the template reads them. Raises UnsupportedField for what it does not read, unless that is off."""
    known = _known(template)
    given = {name: value for name, value in options.variables.items() if _takes(name, value, known)}
    effort = options.reasoning_effort
    if effort is None or _EFFORT in given:
        return given
    if _EFFORT in known:
        return {**given, _EFFORT: effort}
    if effort == "none":
        return {**{name: False for name in _THINKING if name in known}, **given}
    raise UnsupportedField(
        "reasoning_effort is not read by this model's chat template; leave it out.", "reasoning_effort"
    )


def _takes(name: str, value: object, known: frozenset[str]) -> bool:
    if name in known:
        return True
    if not value:
        return False
    shown = name if name.isascii() and name.isidentifier() and len(name) <= _LONGEST_NAME else "one of its variables"
    raise UnsupportedField(f"{FIELD}: {shown} is not read by this model's chat template; leave it out.", FIELD)


_LONGEST_NAME = 64


@functools.lru_cache(maxsize=8)
def _known(template: str) -> frozenset[str]:
    """Less what is the library's or the tokenizer's: a request chooses neither the messages nor the special tokens."""
    from jinja2 import meta
    from transformers import PreTrainedTokenizerBase
    from transformers.utils.chat_template_utils import _compile_jinja_template

    environment = _compile_jinja_template(template).environment  # knows the library's own tags
    own = inspect.signature(PreTrainedTokenizerBase.apply_chat_template).parameters
    read = meta.find_undeclared_variables(environment.parse(template)) - {*own, *environment.globals, "messages"}
    return frozenset(name for name in read if not name.endswith("_token"))
