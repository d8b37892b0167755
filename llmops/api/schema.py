"""What a request may say: what is honoured, what is refused aloud, what is ignored.

Types are strict, so that the OpenAPI document and the server agree on every body: `"5"` is no number here.
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, create_model

from llmops.api.messages import MAX_NAME, ChatMessage, ForwardedMessage
from llmops.api.tools import FunctionCall, ToolChoice, check_choice, ignored_tools
from llmops.engine.contract import Sampling, TemplateOptions
from llmops.inference.errors import InvalidRequest
from llmops.inference.exchange import Ask

MAX_SEED = 2**63 - 1
MAX_COUNT = 2**31 - 1
"""Far more tokens than any model writes, and a number that every record and library can hold."""
MAX_TEXTS = 2048
"""Texts that one request may have embedded: OpenAI's own limit."""
MAX_STOP_TOKENS = 64
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
TopK = Annotated[int, Field(ge=-1, le=MAX_COUNT), _WHOLE]
TokenId = Annotated[int, Field(ge=0, le=MAX_COUNT), _WHOLE]
One = Annotated[int, Field(ge=1, le=1), _WHOLE]
Zero = Annotated[float, Field(ge=0, le=0)]
NoneOf = Annotated[int, Field(ge=0, le=0), _WHOLE]
Off = Annotated[bool, AfterValidator(_must_be_off), Field(json_schema_extra={"const": False})]
NoBias = Annotated[dict[str, float], Field(max_length=0)]


class StreamOptions(BaseModel):
    """What a stream carries beside the answer."""

    model_config = ConfigDict(strict=True)

    include_usage: bool | None = None


class PlainText(BaseModel):
    """The only format of an answer."""

    type: Literal["text"]


class TextRequest(BaseModel):
    """What chats and completions share."""

    model_config = ConfigDict(extra="allow", strict=True)

    refused: ClassVar[frozenset[str]] = frozenset(
        {"n", "logprobs", "frequency_penalty", "presence_penalty", "repetition_penalty", "min_p", "logit_bias"}
    )

    model: Annotated[str, Field(max_length=MAX_NAME)] | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    max_tokens: Count | None = None
    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    top_p: Annotated[float, Field(gt=0, le=1)] | None = None
    top_k: TopK | None = Field(None, description="0 and -1: off")
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
    logit_bias: NoBias | None = None
    min_tokens: Annotated[int, Field(ge=0, le=MAX_COUNT), _WHOLE] | None = Field(
        None, description="Nothing ends the answer before so many tokens."
    )
    ignore_eos: bool | None = Field(None, description="The model does not end the answer: its length does.")
    stop_token_ids: Annotated[list[TokenId], Field(max_length=MAX_STOP_TOKENS)] | None = None

    @property
    def include_usage(self) -> bool:
        """Whether a stream ends with a usage chunk."""
        return bool(self.stream_options and self.stream_options.include_usage)

    @property
    def sampling(self) -> Sampling:
        """How the next token is chosen."""
        top_k = None if self.top_k is None else max(0, self.top_k)
        return Sampling(temperature=self.temperature, top_p=self.top_p, top_k=top_k, seed=self.seed)

    @property
    def ignored(self) -> tuple[str, ...]:
        """Fields that were read and have no effect."""
        return ()

    @property
    def stops(self) -> tuple[str, ...]:
        """The texts that end the answer."""
        stop = (self.stop,) if isinstance(self.stop, str) else self.stop or ()
        return tuple(text for text in stop if text)

    def ask(self) -> Ask:
        """What the route needs of it. Raises InvalidRequest where fields contradict each other."""
        raise NotImplementedError

    def _common(self, max_tokens: int | None) -> dict[str, Any]:
        least = self.min_tokens or 0
        if max_tokens is not None and least > max_tokens:
            raise InvalidRequest(
                f"min_tokens is {least} and max_tokens is {max_tokens}: lower min_tokens to {max_tokens} or less.",
                "min_tokens",
            )
        return {
            "model": self.model,
            "max_tokens": max_tokens,
            "sampling": self.sampling,
            "stop": self.stops,
            "stop_loops": self.stop_loops,
            "stop_token_ids": tuple(self.stop_token_ids or ()),
            "min_tokens": least,
            "ignore_eos": bool(self.ignore_eos),
            "stream": bool(self.stream),
        }


class ChatRequest(TextRequest):
    """`POST /v1/chat/completions`. Fields that are not listed are refused where they would change the answer."""

    refused: ClassVar[frozenset[str]] = TextRequest.refused | {
        "top_logprobs",
        "response_format",
        "modalities",
    }

    messages: Annotated[list[ChatMessage], Field(min_length=1)]
    max_completion_tokens: Count | None = Field(None, description="Today's name of max_tokens; wins over it.")
    logprobs: Off | None = None
    top_logprobs: NoneOf | None = None
    tools: list[dict[str, Any]] | None = Field(None, description="Accepted and ignored: answers call no tools.")
    functions: list[dict[str, Any]] | None = Field(None, description="The older name of tools.")
    tool_choice: ToolChoice = None
    function_call: FunctionCall = None
    response_format: PlainText | None = None
    modalities: Annotated[list[Literal["text"]], Field(max_length=1)] | None = None
    chat_template_kwargs: dict[str, Any] | None = Field(None, description="Variables for the model's chat template.")
    enable_thinking: bool | None = Field(None, description="The variable of this name for the model's chat template.")
    reasoning_effort: Annotated[str, Field(max_length=16)] | None = None
    add_generation_prompt: bool | None = Field(None, description="Open a new message of the assistant; true if absent.")
    continue_final_message: bool | None = Field(None, description="Continue the last message instead of a new one.")

    def ask(self) -> Ask:
        """What the route needs of it. Raises InvalidRequest where fields contradict each other."""
        check_choice("tool_choice", self.tool_choice)
        check_choice("function_call", self.function_call)
        return Ask(
            prompt=[message.plain() for message in self.messages],
            template=self.template,
            **self._common(self.max_completion_tokens or self.max_tokens),
        )

    @property
    def ignored(self) -> tuple[str, ...]:
        """Fields that were read and have no effect."""
        choice = self.function_call if self.tool_choice is None else self.tool_choice
        return ignored_tools(tools=bool(self.tools), functions=bool(self.functions), choice=choice)

    @property
    def template(self) -> TemplateOptions:
        """How the conversation is rendered. Raises InvalidRequest."""
        if self.continue_final_message and self.add_generation_prompt:
            raise InvalidRequest(
                "continue_final_message and add_generation_prompt exclude each other: set one of them to false.",
                "continue_final_message",
            )
        thinking = {} if self.enable_thinking is None else {"enable_thinking": self.enable_thinking}
        return TemplateOptions(
            add_generation_prompt=self.add_generation_prompt is not False,
            continue_final_message=bool(self.continue_final_message),
            variables={**thinking, **(self.chat_template_kwargs or {})},
            reasoning_effort=self.reasoning_effort,
        )


class CompletionRequest(TextRequest):
    """`POST /v1/completions`: bare text to be continued. Fields that are not listed are refused where they would
    change the answer."""

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
        """What the route needs of it. Raises InvalidRequest where fields contradict each other."""
        return Ask(
            prompt=self.prompt if isinstance(self.prompt, str) else self.prompt[0],
            default_max_tokens=max(COMPLETION_TOKENS, self.min_tokens or 0),
            **self._common(self.max_tokens),
        )


_NOT_PASSED_BACK = frozenset({"n", "logprobs", "top_logprobs", "modalities"})
"""What an upstream answers to these has no place in an answer of this server yet."""


def forwarded(request: type[TextRequest]) -> type[TextRequest]:
    """The same request where the engine forwards it: what the other server may honour is left to that one."""
    names = request.refused - _NOT_PASSED_BACK
    fields: dict[str, Any] = dict.fromkeys(names, (Any, None))
    if issubclass(request, ChatRequest):
        fields["messages"] = (Annotated[list[ForwardedMessage], Field(min_length=1)], ...)
    refused = request.refused & _NOT_PASSED_BACK
    return create_model(
        request.__name__,
        __base__=request,
        __doc__=request.__doc__,
        refused=(ClassVar[frozenset[str]], refused),
        **fields,
    )


class EmbeddingRequest(BaseModel):
    """`POST /v1/embeddings`. Fields that are not listed are refused where they would change the vectors."""

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
