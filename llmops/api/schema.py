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
MAX_NAME = 256
"""Characters of a model's or a user's name: both are written into the record."""


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
    model: Annotated[str, Field(max_length=MAX_NAME)] | None = None
    stream: bool = False
    stream_options: StreamOptions | None = None
    max_tokens: Annotated[int, Field(ge=1)] | None = None
    max_completion_tokens: Annotated[int, Field(ge=1)] | None = None
    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    top_p: Annotated[float, Field(gt=0, le=1)] | None = None
    top_k: Annotated[int, Field(ge=1)] | None = None
    stop: str | Annotated[list[str], Field(max_length=4)] | None = None
    seed: Annotated[int, Field(ge=-(2**63), le=MAX_SEED)] | None = None
    user: Annotated[str, Field(max_length=MAX_NAME)] | None = None
    stop_loops: bool | None = None
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
            prompt=[message.plain() for message in self.messages],
            model=self.model,
            max_tokens=self.max_completion_tokens or self.max_tokens,
            sampling=Sampling(temperature=self.temperature, top_p=self.top_p, top_k=self.top_k, seed=self.seed),
            stop=tuple(text for text in stop if text),
            stop_loops=self.stop_loops,
            stream=self.stream,
        )


def parse_chat(body: bytes) -> ChatRequest:
    """The body as a request. Raises InvalidRequest with one sentence that names the field and the fix."""
    try:
        return ChatRequest.model_validate_json(body)
    except ValidationError as error:
        raise _first_complaint(error) from None


_OWN_WORDS = {
    "too_short": "must have at least {min_length}",
    "too_long": "must have at most {max_length}",
    "string_too_long": "must be at most {max_length} characters long",
    "greater_than_equal": "must be {ge} or more",
    "greater_than": "must be more than {gt}",
    "less_than_equal": "must be {le} or less",
    "missing": "is missing: give it",
}


def _first_complaint(error: ValidationError) -> InvalidRequest:
    # A union (one text or several) complains once for each member: the deepest is the one that was meant, and
    # that a list is too long says more than that it is no text.
    complaint = max(error.errors(), key=lambda each: (each["type"] in _OWN_WORDS, len(each["loc"])))
    # pydantic puts the name of the union's member into the path; the client never wrote it.
    path = [str(part) for part in complaint["loc"]]
    field = ".".join(part for part in path if not part.startswith(("list[", "str", "constrained-str"))) or None
    kind = complaint["type"]
    if kind == "json_invalid":
        return InvalidRequest(f"The body is not JSON: {complaint['msg'].removeprefix('Invalid JSON: ')}.", None)
    if kind == "value_error":
        message = str(complaint["ctx"]["error"])
        return InvalidRequest(f"{message}.", message.split(" ", 1)[0])
    subject = field or "The body"
    if kind == "missing":
        return InvalidRequest(f"{subject} {_OWN_WORDS[kind]}.", field)
    shown = _shown(complaint["input"])
    if kind in _OWN_WORDS:
        return InvalidRequest(f"{subject} is {shown}: it {_OWN_WORDS[kind].format(**complaint['ctx'])}.", field)
    return InvalidRequest(f"{subject} is {shown}: {complaint['msg'][0].lower()}{complaint['msg'][1:]}.", field)


def _shown(value: object) -> str:
    """Numbers as they are; text only by its kind, because this sentence is recorded and prompts must not be."""
    if value is None or isinstance(value, bool | int | float):
        return json.dumps(value)[:40]
    if isinstance(value, list):
        return f"a list of {len(value)}"
    return "an object" if isinstance(value, dict) else "text"
