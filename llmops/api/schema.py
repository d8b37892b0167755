"""What a request may say: what is honoured, what is refused aloud, what is ignored.

Types are strict, so that the OpenAPI document and the server agree on every body: `"5"` is no number here.
"""

from __future__ import annotations

import logging
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from llmops.engine.contract import Message, Sampling
from llmops.inference.exchange import Ask

_log = logging.getLogger(__name__)

MAX_SEED = 2**63 - 1
MAX_COUNT = 2**31 - 1
"""Far more tokens than any model writes, and a number that every record and library can hold."""
MAX_NAME = 256
"""Characters of a model's or a user's name: both are written into the record."""
MAX_TEXTS = 2048
"""Texts that one request may have embedded: OpenAI's own limit."""
COMPLETION_TOKENS = 16
"""How long a completion is when it does not say: OpenAI's own default for this older route."""


def _whole(value: object) -> object:
    """To JSON 5.0 is an integer as much as 5 is."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _must_be_off(value: bool) -> bool:
    if value:
        raise ValueError("it must be false")
    return value


# What only its neutral value may stand for: the fields below would change the answer and cannot be honoured.
_WHOLE = BeforeValidator(_whole)  # last, or the limits before it would not be in the document
Count = Annotated[int, Field(ge=1, le=MAX_COUNT), _WHOLE]
One = Annotated[int, Field(ge=1, le=1), _WHOLE]
Zero = Annotated[float, Field(ge=0, le=0)]
NoneOf = Annotated[int, Field(ge=0, le=0), _WHOLE]
Off = Annotated[bool, AfterValidator(_must_be_off), Field(json_schema_extra={"const": False})]
Nothing = Annotated[list[Any], Field(max_length=0)]
NoBias = Annotated[dict[str, float], Field(max_length=0)]


class TextPart(BaseModel):
    """A part of a message; only text is understood."""

    model_config = ConfigDict(strict=True)

    type: Literal["text"]
    text: str


class ChatMessage(BaseModel):
    """One turn."""

    model_config = ConfigDict(strict=True)

    role: Literal["system", "developer", "user", "assistant"]
    content: str | Annotated[list[TextPart], Field(min_length=1)]

    def plain(self) -> Message:
        """As the engine takes it: one text; `developer` is today's word for `system`."""
        text = self.content if isinstance(self.content, str) else "".join(part.text for part in self.content)
        return Message("system" if self.role == "developer" else self.role, text)


class StreamOptions(BaseModel):
    """What a stream carries beside the answer."""

    model_config = ConfigDict(strict=True)

    include_usage: bool | None = None


class PlainText(BaseModel):
    """The only format of an answer."""

    type: Literal["text"]


class TextRequest(BaseModel):
    """What chats and completions share. Fields that are not listed are ignored."""

    model_config = ConfigDict(extra="allow", strict=True)

    refused: ClassVar[frozenset[str]] = frozenset(
        {"n", "logprobs", "frequency_penalty", "presence_penalty", "repetition_penalty", "min_p", "min_tokens"}
    ) | {"logit_bias", "ignore_eos"}

    model: Annotated[str, Field(max_length=MAX_NAME)] | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    max_tokens: Count | None = None
    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    top_p: Annotated[float, Field(gt=0, le=1)] | None = None
    top_k: Count | None = None
    stop: str | Annotated[list[str], Field(max_length=4)] | None = None
    seed: Annotated[int, Field(ge=-(2**63), le=MAX_SEED), _WHOLE] | None = None
    user: Annotated[str, Field(max_length=MAX_NAME)] | None = None
    stop_loops: bool | None = Field(None, description="End an answer that repeats itself without end.")
    include_metrics: bool | None = Field(None, description="Add `metrics`, this request's own times, to the answer.")
    n: One | None = None
    frequency_penalty: Zero | None = None
    presence_penalty: Zero | None = None
    repetition_penalty: Annotated[float, Field(ge=1, le=1)] | None = None
    min_p: Zero | None = None
    min_tokens: NoneOf | None = None
    logit_bias: NoBias | None = None
    ignore_eos: Off | None = None

    @model_validator(mode="after")
    def note_what_is_ignored(self) -> Self:
        """A client that wonders why a field has no effect finds it in the log."""
        if self.model_extra:
            _log.debug("ignored fields of a request: %s", ", ".join(sorted(self.model_extra)[:20]))
        return self

    @property
    def include_usage(self) -> bool:
        """Whether a stream ends with a usage chunk."""
        return bool(self.stream_options and self.stream_options.include_usage)

    @property
    def sampling(self) -> Sampling:
        """How the next token is chosen."""
        return Sampling(temperature=self.temperature, top_p=self.top_p, top_k=self.top_k, seed=self.seed)

    @property
    def stops(self) -> tuple[str, ...]:
        """The texts that end the answer."""
        stop = (self.stop,) if isinstance(self.stop, str) else self.stop or ()
        return tuple(text for text in stop if text)

    def ask(self) -> Ask:
        """What the route needs of it."""
        raise NotImplementedError


class ChatRequest(TextRequest):
    """`POST /v1/chat/completions`. Fields that are not listed here are ignored."""

    refused: ClassVar[frozenset[str]] = TextRequest.refused | {
        "top_logprobs",
        "tools",
        "functions",
        "response_format",
        "modalities",
    }

    messages: Annotated[list[ChatMessage], Field(min_length=1)]
    max_completion_tokens: Count | None = Field(None, description="Today's name of max_tokens; wins over it.")
    logprobs: Off | None = None
    top_logprobs: NoneOf | None = None
    tools: Nothing | None = None
    functions: Nothing | None = None
    response_format: PlainText | None = None
    modalities: Annotated[list[Literal["text"]], Field(max_length=1)] | None = None

    def ask(self) -> Ask:
        """What the route needs of it."""
        return Ask(
            prompt=[message.plain() for message in self.messages],
            model=self.model,
            max_tokens=self.max_completion_tokens or self.max_tokens,
            sampling=self.sampling,
            stop=self.stops,
            stop_loops=self.stop_loops,
            stream=bool(self.stream),
        )


class CompletionRequest(TextRequest):
    """`POST /v1/completions`: bare text to be continued. Fields that are not listed here are ignored."""

    refused: ClassVar[frozenset[str]] = TextRequest.refused | {"best_of", "suffix", "echo"}

    prompt: (
        Annotated[str, Field(min_length=1)]
        | Annotated[list[Annotated[str, Field(min_length=1)]], Field(min_length=1, max_length=1)]
    ) = Field(description="One text. Token ids and several prompts at once are refused.")
    best_of: One | None = None
    suffix: Literal[""] | None = None
    echo: Off | None = None
    logprobs: None = None

    def ask(self) -> Ask:
        """What the route needs of it."""
        return Ask(
            prompt=self.prompt if isinstance(self.prompt, str) else self.prompt[0],
            model=self.model,
            max_tokens=self.max_tokens,
            default_max_tokens=COMPLETION_TOKENS,
            sampling=self.sampling,
            stop=self.stops,
            stream=bool(self.stream),
        )


class EmbeddingRequest(BaseModel):
    """`POST /v1/embeddings`. Fields that are not listed here are ignored."""

    model_config = ConfigDict(extra="allow", strict=True)

    input: (
        Annotated[str, Field(min_length=1)]
        | Annotated[list[Annotated[str, Field(min_length=1)]], Field(min_length=1, max_length=MAX_TEXTS)]
    ) = Field(description="A text or several. Token ids are refused.")
    model: Annotated[str, Field(max_length=MAX_NAME)] | None = None
    encoding_format: Literal["float", "base64"] | None = None
    dimensions: Count | None = Field(
        None, description="The model's own number of dimensions, or nothing: vectors are never cut."
    )
    user: Annotated[str, Field(max_length=MAX_NAME)] | None = None

    @property
    def texts(self) -> list[str]:
        """The texts, in order."""
        return [self.input] if isinstance(self.input, str) else self.input
