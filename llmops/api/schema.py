"""The body of a chat completion: what is honoured, what is refused aloud, what is ignored."""

from __future__ import annotations

import json
import logging
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from llmops.engine.contract import Message, Sampling
from llmops.inference.errors import InvalidRequest
from llmops.inference.exchange import Ask

_log = logging.getLogger(__name__)

MAX_SEED = 2**63 - 1


class TextPart(BaseModel):
    """A part of a message; only text is understood."""

    type: Literal["text"]
    text: str


class ChatMessage(BaseModel):
    """One turn."""

    role: Literal["system", "developer", "user", "assistant"]
    content: str | list[TextPart]

    def plain(self) -> Message:
        """As the engine takes it: one text; `developer` is today's word for `system`."""
        text = self.content if isinstance(self.content, str) else "".join(part.text for part in self.content)
        return Message("system" if self.role == "developer" else self.role, text)


class StreamOptions(BaseModel):
    """What a stream carries beside the answer."""

    include_usage: bool = False


class ChatRequest(BaseModel):
    """`POST /v1/chat/completions`. Fields that are not listed here are ignored."""

    model_config = ConfigDict(extra="allow")

    messages: Annotated[list[ChatMessage], Field(min_length=1)]
    model: str | None = None
    stream: bool = False
    stream_options: StreamOptions | None = None
    max_tokens: Annotated[int, Field(ge=1)] | None = None
    max_completion_tokens: Annotated[int, Field(ge=1)] | None = None
    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    top_p: Annotated[float, Field(gt=0, le=1)] | None = None
    top_k: Annotated[int, Field(ge=1)] | None = None
    stop: str | Annotated[list[str], Field(max_length=4)] | None = None
    seed: Annotated[int, Field(ge=-(2**63), le=MAX_SEED)] | None = None
    user: str | None = None
    n: int | None = None
    logprobs: bool | None = None
    tools: list[Any] | None = None
    frequency_penalty: float | None = None
    presence_penalty: float | None = None
    logit_bias: dict[str, float] | None = None
    response_format: dict[str, Any] | None = None

    @model_validator(mode="after")
    def refuse_what_would_be_silently_wrong(self) -> ChatRequest:
        """A dial that changes the answer and cannot be honoured is an error, not a shrug."""
        refused = {
            "n": self.n not in (None, 1),
            "logprobs": bool(self.logprobs),
            "tools": bool(self.tools),
            "frequency_penalty": bool(self.frequency_penalty),
            "presence_penalty": bool(self.presence_penalty),
            "logit_bias": bool(self.logit_bias),
            "response_format": (self.response_format or {}).get("type", "text") != "text",
        }
        for name, present in refused.items():
            if present:
                raise ValueError(f"{name} is not supported here; leave it out")
        if self.model_extra:
            _log.debug("ignored fields of a chat request: %s", ", ".join(sorted(self.model_extra)[:20]))
        return self

    @property
    def include_usage(self) -> bool:
        """Whether a stream ends with a usage chunk."""
        return bool(self.stream_options and self.stream_options.include_usage)

    def ask(self) -> Ask:
        """What the route needs of it."""
        stop = (self.stop,) if isinstance(self.stop, str) else tuple(self.stop or ())
        return Ask(
            messages=[message.plain() for message in self.messages],
            model=self.model,
            max_tokens=self.max_completion_tokens or self.max_tokens,
            sampling=Sampling(temperature=self.temperature, top_p=self.top_p, top_k=self.top_k, seed=self.seed),
            stop=tuple(text for text in stop if text),
            stream=self.stream,
        )


def parse_chat(body: bytes) -> ChatRequest:
    """The body as a request. Raises InvalidRequest with one sentence that names the field and the fix."""
    try:
        return ChatRequest.model_validate_json(body)
    except ValidationError as error:
        raise _first_complaint(error) from None


def _first_complaint(error: ValidationError) -> InvalidRequest:
    # A union (text or parts) complains once for each member: the deepest path is the one that was meant.
    complaint = max(error.errors(), key=lambda each: len(each["loc"]))
    field = ".".join(str(part) for part in complaint["loc"] if not str(part).startswith(("list[", "str"))) or None
    if complaint["type"] == "json_invalid":
        return InvalidRequest(f"The body is not JSON: {complaint['msg'].removeprefix('Invalid JSON: ')}.", None)
    if complaint["type"] == "value_error":
        message = str(complaint["ctx"]["error"])
        return InvalidRequest(f"{message}.", message.split(" ", 1)[0])
    if complaint["type"] == "missing":
        return InvalidRequest(f"{field} is missing: give it.", field)
    wrong = complaint["msg"][0].lower() + complaint["msg"][1:]
    got = json.dumps(complaint["input"], ensure_ascii=False, default=str)
    shown = got if len(got) <= 60 else got[:57] + "..."
    return InvalidRequest(f"{field} is {shown}: {wrong}.", field)
