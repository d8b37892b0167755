"""A message of a chat: its roles, what its content may be, and what an engine is given of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator
from pydantic_core import PydanticCustomError

from llmops.engine.contract import Message

MAX_NAME = 256
"""Characters of a name of a model, a user or a tool; those of models and users are written into the record."""


_PART_SCHEMA: dict[str, Any] = {
    "allOf": [
        {
            "if": {"properties": {"type": {"const": kind}}},
            "then": {"required": [kind], "properties": {kind: {"type": "string"}}},
        }
        for kind in ("text", "refusal")
    ]
}


class TextPart(BaseModel):
    """A part of a message: text, or the words in which a model refused, as clients send them back."""

    model_config = ConfigDict(strict=True, json_schema_extra=_PART_SCHEMA)

    type: Literal["text", "refusal"]
    text: str | None = Field(None, validate_default=True)
    refusal: str | None = Field(None, validate_default=True)

    @field_validator("text", "refusal")
    @classmethod
    def has_what_its_type_says(cls, value: str | None, info: Any) -> str | None:
        """Raises an error of the field itself."""
        if value is None and info.data.get("type") == info.field_name:
            raise PydanticCustomError("no_text", "It must be text")
        return value

    @property
    def said(self) -> str:
        """Its text."""
        return (self.text if self.type == "text" else self.refusal) or ""


_MAY_BE_EMPTY: dict[str, Any] = {
    "if": {"properties": {"role": {"enum": ["system", "developer", "user", "tool"]}}},
    "then": {"required": ["content"], "properties": {"content": {"not": {"type": "null"}}}},
}
"""An assistant's message may be without content: it called a tool, refused, or said nothing."""
_EXTRA = ("name", "tool_calls", "tool_call_id", "reasoning_content", "reasoning", "function_call")
"""What a template may show of a message beside its content."""


class ChatMessage(BaseModel):
    """One turn."""

    model_config = ConfigDict(extra="allow", strict=True, json_schema_extra=_MAY_BE_EMPTY)

    role: Literal["system", "developer", "user", "assistant", "tool", "function"]
    content: str | list[TextPart] | None = Field(None, validate_default=True)
    refusal: str | None = None
    name: Annotated[str, Field(max_length=MAX_NAME)] | None = None
    tool_call_id: Annotated[str, Field(max_length=MAX_NAME)] | None = None
    tool_calls: list[dict[str, Any]] | None = None

    @field_validator("content")
    @classmethod
    def only_an_assistant_may_say_nothing(cls, content: Any, info: Any) -> Any:
        """Raises an error of the field itself."""
        if content is None and info.data.get("role") in ("system", "developer", "user", "tool"):
            raise PydanticCustomError("no_content", "It must be text or a list of parts")
        return content

    def plain(self) -> Message:
        """As the engine takes it: one text; `developer` is today's word for `system`."""
        given = {**(self.model_extra or {}), **dict(self)}
        extra = {name: given[name] for name in _EXTRA if given.get(name)}
        return Message("system" if self.role == "developer" else self.role, self._text(), extra)

    def _text(self) -> str:
        if isinstance(self.content, str):
            return self.content
        return "".join(map(_part_text, self.content or ())) or self.refusal or ""


def _part_text(part: object) -> str:
    if isinstance(part, Mapping):
        text = part.get("text")
        return text if isinstance(text, str) else ""
    return part.said if isinstance(part, TextPart) else ""


class ForwardedMessage(ChatMessage):
    """One turn for an engine that forwards it: its parts may be of any kind."""

    content: str | list[dict[str, Any]] | None = Field(None, validate_default=True)  # type: ignore[assignment]
