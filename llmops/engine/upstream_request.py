"""What an upstream is sent: the request as it came, and the few fields that are ours."""

from __future__ import annotations

from typing import Any

from llmops.engine.contract import Generation

_OURS = frozenset({"model", "stream", "stream_options", "max_tokens", "max_completion_tokens"})
_OWN_EXTENSIONS = frozenset({"stop_loops", "include_metrics"})
_NOT_SHOWN = frozenset({"tools", "tool_choice", "parallel_tool_calls", "functions", "function_call"})
"""Answers to these hold calls, which no answer of this server shows yet."""


def request_of(generation: Generation, model: str) -> tuple[str, dict[str, Any]]:
    """Path and body. Only what was asked for: the upstream's own defaults fill the rest, its longest answer too."""
    asked, prompt = generation.sampling, generation.prompt
    values = {"temperature": asked.temperature, "top_p": asked.top_p, "top_k": asked.top_k, "seed": asked.seed}
    body: dict[str, Any] = {name: value for name, value in values.items() if value is not None}
    if generation.stop:
        body["stop"] = list(generation.stop)
    path, key = ("/completions", "prompt") if isinstance(prompt, str) else ("/chat/completions", "messages")
    body[key] = prompt if isinstance(prompt, str) else [{"role": turn.role, "content": turn.content} for turn in prompt]
    not_passed_on = _OURS | _OWN_EXTENSIONS | _NOT_SHOWN
    came = generation.body or {}
    body |= {name: value for name, value in came.items() if name not in not_passed_on and value is not None}
    length = {"max_tokens": generation.max_tokens} if generation.names_length else {}
    return path, body | {"model": model, "stream": True} | length


def stops_here(generation: Generation) -> tuple[str, ...]:
    """The stop strings that are looked for on this side too; none where the upstream is to show or overlook them."""
    came = generation.body or {}
    return () if came.get("include_stop_str_in_output") or came.get("min_tokens") else generation.stop
