"""How long a request is: prompt and answer against the model's context, and what is set aside for them."""

from __future__ import annotations

from llmops.engine.contract import Prompt
from llmops.inference.errors import ContextTooLong
from llmops.inference.exchange import Ask

_MOST_CHARACTERS_A_TOKEN = 16
"""No text has so many characters a token on average: what is longer than this is refused without counting."""
_BYTES_A_TOKEN = 4
_TOKENS_A_TURN = 5
EXPECTED_TOKENS = 512
"""Of an answer whose request names no length: so much is set aside for it. A longer one takes what it needs, and where
the cache runs out the engine sets a generation back and takes it up again."""


def check_size(prompt: Prompt, limit: int) -> None:
    """Before anything is counted. Raises ContextTooLong for what cannot fit in any case."""
    size = characters(prompt)
    if size > limit * _MOST_CHARACTERS_A_TOKEN:
        field = _field(prompt)
        tokens = size // _BYTES_A_TOKEN
        raise ContextTooLong(
            f"{field} holds {size} characters, about {tokens} tokens, and the model's context is {limit}: "
            f"shorten {field} by about {tokens - limit} tokens.",
            field,
        )


def fit(prompt_tokens: int, limit: int, ask: Ask, named: int | None) -> int:
    """Tokens that the answer may have. named: by the request or the operator; None: what the context leaves.

    Raises ContextTooLong.
    """
    asked, field = ask.max_tokens, _field(ask.prompt)
    room = limit - prompt_tokens
    if room < 1:
        raise ContextTooLong(
            f"{field} holds {prompt_tokens} tokens and the model's context is {limit}: shorten {field} by "
            f"{1 - room} tokens, so that an answer of one token fits.",
            field,
        )
    if asked is not None and asked > room:
        raise ContextTooLong(
            f"{field} holds {prompt_tokens} tokens and max_tokens asks for {asked} more, but the model's "
            f"context is {limit}: lower max_tokens to {room} or shorten {field}.",
            "max_tokens",
        )
    if ask.min_tokens > room:
        raise ContextTooLong(
            f"{field} holds {prompt_tokens} tokens and min_tokens asks for {ask.min_tokens} more, but the model's "
            f"context is {limit}: lower min_tokens to {room} or shorten {field}.",
            "min_tokens",
        )
    return min(room, named or room)


def characters(prompt: Prompt) -> int:
    """Of all that is read."""
    return len(prompt) if isinstance(prompt, str) else sum(len(message.text) for message in prompt)


def likely_tokens(prompt: Prompt) -> int:
    """A token has about 4 bytes of UTF-8, in English as in Chinese; a turn has some more around it."""
    texts = [prompt] if isinstance(prompt, str) else [message.text for message in prompt]
    bytes_ = sum([len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass")) for text in texts])
    return bytes_ // _BYTES_A_TOKEN + _TOKENS_A_TURN * len(texts)


def _field(prompt: Prompt) -> str:
    """What the client calls it."""
    return "prompt" if isinstance(prompt, str) else "messages"
