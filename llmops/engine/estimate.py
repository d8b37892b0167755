"""How many tokens a prompt may have, for engines whose tokenizer is elsewhere."""

from __future__ import annotations

import re

from llmops.engine.contract import Prompt
from llmops.engine.errors import BadPrompt

BYTES_PER_TOKEN = 4
"""Of UTF-8, outside of Chinese, Japanese and Korean: what BPE vocabularies of 32,000 to 152,000 tokens need for prose
on average; code and rare languages need up to twice as many tokens."""

TOKENS_PER_MESSAGE = 4
"""What a chat template writes around each message and before the answer: markers, role and line breaks."""

_ROLES = frozenset({"system", "developer", "user", "assistant", "tool", "function"})
# Kana, Chinese characters and Hangul syllables: about one token each.
_ONE_EACH = re.compile(r"[\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\uf900-\ufaff\U00020000-\U0003ffff]")


def tokens_of(text: str) -> int:
    """At least one, unless there is no text."""
    rest, characters = _ONE_EACH.subn("", text)
    return characters + -(-len(rest.encode("utf-8", "replace")) // BYTES_PER_TOKEN)


def prompt_tokens(prompt: Prompt) -> int:
    """Messages with what a template adds to them. Raises BadPrompt."""
    if not prompt:
        raise BadPrompt(f"{'prompt' if isinstance(prompt, str) else 'messages'} is empty: give some text.")
    if isinstance(prompt, str):
        return tokens_of(prompt)
    for message in prompt:
        if message.role not in _ROLES:
            raise BadPrompt(f"The role {message.role!r} is none of {', '.join(sorted(_ROLES))}.")
    return TOKENS_PER_MESSAGE + sum(TOKENS_PER_MESSAGE + tokens_of(message.text) for message in prompt)
