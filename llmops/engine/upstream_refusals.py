"""From an upstream's refusal to the contract's error: one sentence that quotes the upstream, never the prompt."""

from __future__ import annotations

import re

from llmops.engine.contract import Prompt
from llmops.engine.errors import (
    BadPrompt,
    EngineError,
    OutOfMemory,
    PromptTooLong,
    UnsupportedField,
    UnsupportedSampling,
    UpstreamBusy,
    UpstreamFailed,
)
from llmops.engine.upstream_reading import Refused
from llmops.untrusted import spelled_out

BUSY = frozenset({429, 502, 503})
"""Statuses of a server that did not begin and may take the request a moment later."""

_LONGEST_QUOTE = 200
_TELLTALE = 16
"""So many characters in a row that stand in the prompt too: the message repeats it, and errors are recorded."""
_DIALS = frozenset({"temperature", "top_p", "top_k", "seed", "stop", "max_tokens"})
_TOO_LONG = ("context_length", "exceed_context", "context length", "context size", "context window", "maximum context")
_FIELD = re.compile(r"[A-Za-z0-9_.]{1,64}")
"""A field as the upstream names it, safe to repeat."""
_MEMORY = ("out of memory", "oom")


def explain(refused: Refused, prompt: Prompt) -> EngineError:
    """What the client is told."""
    status, said = refused.status, quote(refused, prompt)
    words = f"{refused.code} {refused.message}".lower()
    if status in (400, 413, 422) and any(word in words for word in _TOO_LONG):
        return PromptTooLong(f"Prompt and answer are longer than the upstream takes{said}.")
    if status in (400, 413, 422):
        if refused.parameter in _DIALS:
            return UnsupportedSampling(f"The upstream refuses {refused.parameter}{said}.")
        message = f"The upstream refuses this request with {status}{said}."
        return (
            UnsupportedField(message, refused.parameter) if _FIELD.fullmatch(refused.parameter) else BadPrompt(message)
        )
    if _is_memory(refused, words):
        return OutOfMemory(f"The upstream ran out of memory during this generation{said}.")
    if status in BUSY:
        return UpstreamBusy(f"The upstream takes no more requests for now ({status}){said}; ask again later.")
    return UpstreamFailed(f"{_failure(status)}{said}.")


def quote(refused: Refused, prompt: Prompt = "") -> str:
    """`: "its words"`, or nothing where it gave none or repeats the prompt."""
    message = " ".join(refused.message.split())
    if not message or _repeats(message, prompt):
        return ""
    short = message if len(message) <= _LONGEST_QUOTE else message[: _LONGEST_QUOTE - 1] + "…"
    return f': "{spelled_out(short.rstrip("."))}"'


def _failure(status: int) -> str:
    if status in (401, 403):
        return f"The upstream refuses our key ({status}): whoever runs this server must set engine.upstream_api_key"
    if 300 <= status < 400:
        return f"The upstream redirects ({status}): engine.upstream_url must be the address where it ends"
    if status == 404:
        return "The upstream knows neither this model nor this path (404)"
    return f"The upstream failed with {status}"


def _is_memory(refused: Refused, words: str) -> bool:
    return refused.status >= 500 and (_MEMORY[0] in words or _MEMORY[1] in refused.code.lower().split())


def _repeats(message: str, prompt: Prompt) -> bool:
    texts = [prompt] if isinstance(prompt, str) else [turn.content for turn in prompt]
    said = " ".join(" ".join(texts).split())
    if 0 < len(said) < _TELLTALE:
        return said in message
    shown = message[: _LONGEST_QUOTE + _TELLTALE]
    return any(shown[at : at + _TELLTALE] in said for at in range(max(1, len(shown) - _TELLTALE + 1)) if said)
