"""Messages as a chat template takes them: tool calls, results of tools and names, whether it knows them or not."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from llmops.engine.contract import Message


def turns_of(messages: Sequence[Message], template: str) -> list[dict[str, Any]]:
    """One dictionary a turn. A template that does not know tools gets calls and results as text of the turns around."""
    if "tool" in template:
        return [_turn(message) for message in messages]
    turns: list[dict[str, Any]] = []
    for message in messages:
        is_result = message.role in ("tool", "function")
        turn = _without_tools(message)
        if is_result and turns and turns[-1]["role"] == "user":  # many templates refuse two turns of one role in a row
            turns[-1]["content"] += "\n" + turn["content"]
        else:
            turns.append(turn)
    return turns


def _turn(message: Message) -> dict[str, Any]:
    role = "tool" if message.role == "function" else message.role
    turn = {"role": role, "content": message.content, **message.extra}
    calls = turn.get("tool_calls")
    if isinstance(calls, list):
        turn["tool_calls"] = [_call(call) for call in calls]
    return turn


def _call(call: Any) -> Any:
    """Templates write the arguments themselves: they take the object, where the API has its text."""
    function = call.get("function") if isinstance(call, dict) else None
    if not isinstance(function, dict):
        return call
    return {**call, "function": {**function, "arguments": _arguments(function.get("arguments"))}}


def _arguments(arguments: Any) -> Any:
    try:
        return json.loads(arguments) if isinstance(arguments, str) else arguments
    except ValueError:
        return arguments


def _without_tools(message: Message) -> dict[str, Any]:
    if message.role in ("tool", "function"):
        name = message.extra.get("name") or message.extra.get("tool_call_id")
        return {"role": "user", "content": f"Result of {name or 'the tool'}: {message.content}"}
    extra = dict(message.extra)
    calls = extra.pop("tool_calls", None)
    texts = (
        [message.content, *(_called(call) for call in calls or ())] if isinstance(calls, list) else [message.content]
    )
    return {"role": message.role, "content": "\n".join(text for text in texts if text), **extra}


def _called(call: Any) -> str:
    function = call.get("function") if isinstance(call, dict) else None
    if not isinstance(function, dict):
        return ""
    return f"Called {function.get('name')} with {function.get('arguments') or '{}'}"
