"""The fields of a chat that offer tools: this server answers without a call, and refuses to promise one."""

from __future__ import annotations

import logging
from typing import Annotated, Any

from pydantic import WithJsonSchema

from llmops.inference.errors import InvalidRequest

_log = logging.getLogger(__name__)

_ALLOWED_TOOLS = {
    "type": "object",
    "required": ["type", "allowed_tools"],
    "properties": {
        "type": {"const": "allowed_tools"},
        "allowed_tools": {"type": "object", "required": ["mode"], "properties": {"mode": {"const": "auto"}}},
    },
}
ToolChoice = Annotated[Any, WithJsonSchema({"anyOf": [{"enum": ["auto", "none", None]}, _ALLOWED_TOOLS]})]
FunctionCall = Annotated[Any, WithJsonSchema({"enum": ["auto", "none", None]})]

_FORCED = ("required", "any")
_logged: set[str] = set()


def check_choice(field: str, choice: object) -> None:
    """Raise InvalidRequest for a choice that forces a call, and for what is no choice."""
    if choice in (None, "auto", "none") or (field == "tool_choice" and _is_allowed_tools(choice)):
        return
    if choice in _FORCED or isinstance(choice, dict):
        raise InvalidRequest(
            f'{field} requires a tool call, which is not supported here; send "auto" or "none", or leave it out.', field
        )
    raise InvalidRequest(f'{field} must be "auto" or "none".', field)


def _is_allowed_tools(choice: object) -> bool:
    """OpenAI's `allowed_tools` with the mode `auto`: the model may call one of them, or none."""
    if not isinstance(choice, dict) or choice.get("type") != "allowed_tools":
        return False
    allowed = choice.get("allowed_tools")
    return isinstance(allowed, dict) and allowed.get("mode") == "auto"


def ignored_tools(*, tools: bool, functions: bool, choice: object) -> tuple[str, ...]:
    """The names of the fields whose tools the model does not see; each is logged once for the process.

    A request whose choice is `none` loses nothing.
    """
    if choice == "none":
        return ()
    names = (*(("tools",) if tools else ()), *(("functions",) if functions else ()))
    for name in names:
        if name not in _logged:
            _logged.add(name)
            _log.warning("the field %s of a request is ignored: answers call no tools here; this is logged once", name)
    return names
