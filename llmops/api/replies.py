"""What the routes answer, as the OpenAPI document shows it; the hot routes write the same by hand."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from llmops.engine.contract import FinishReason


class Reply(BaseModel):
    """Nothing but the fields that are named."""

    model_config = ConfigDict(extra="forbid")


class ErrorDetail(Reply):
    """What went wrong, in one sentence that names the fix; `param` is the field, `code` the machine's word for it."""

    message: str
    type: str
    param: str | None
    code: str


class ErrorReply(Reply):
    """Every error of every route."""

    error: ErrorDetail


class CachedTokens(Reply):
    """Prompt tokens that were found in the cache."""

    cached_tokens: int


class Usage(Reply):
    """Tokens read and written."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    prompt_tokens_details: CachedTokens | None = None


class Timings(Reply):
    """This request's own times in milliseconds, named and meant as vLLM does; only with `include_metrics`."""

    time_to_first_token_ms: float | None = Field(description="from its turn to the first token, the queue not included")
    generation_time_ms: float | None = Field(description="from the first token to the last")
    queue_time_ms: float | None = Field(description="from its arrival to its turn")
    mean_itl_ms: float | None = Field(description="between two tokens; null for an answer of one")
    tokens_per_second: float | None = Field(description="all tokens over the time from its turn to the last one")


class Answer(Reply):
    """What answers and the pieces of a stream share."""

    id: str
    created: int = Field(description="Unix seconds of the arrival")
    model: str
    system_fingerprint: str | None = Field(description="the model's version: a commit, or a hash of its files")
    service_tier: None
    metrics: Timings | None = None


class ChatMessageReply(Reply):
    """The answer's text."""

    role: Literal["assistant"]
    content: str
    refusal: None


class ChatChoice(Reply):
    """The one choice."""

    index: Literal[0]
    message: ChatMessageReply
    logprobs: None
    finish_reason: FinishReason


class ChatReply(Answer):
    """A chat's answer."""

    object: Literal["chat.completion"]
    choices: list[ChatChoice]
    usage: Usage


class ChatDelta(Reply):
    """What a piece adds."""

    role: Literal["assistant"] | None = None
    content: str | None = None


class ChatPieceChoice(Reply):
    """A piece of the one choice."""

    index: Literal[0]
    delta: ChatDelta
    logprobs: None
    finish_reason: FinishReason | None


class ChatPiece(Answer):
    """One `data:` line of a streamed chat; usage and metrics, when asked for, come in one without a choice."""

    object: Literal["chat.completion.chunk"]
    choices: list[ChatPieceChoice]
    usage: Usage | None = None


class CompletionChoice(Reply):
    """The one choice, or a piece of it."""

    index: Literal[0]
    text: str
    logprobs: None
    finish_reason: FinishReason | None


class CompletionReply(Answer):
    """A completion's answer, and each `data:` line of a streamed one."""

    object: Literal["text_completion"]
    choices: list[CompletionChoice]
    usage: Usage | None = None


class EmbeddingItem(Reply):
    """One text's vector: numbers, or little-endian float32 in base64."""

    object: Literal["embedding"]
    index: int
    embedding: list[float] | str


class EmbeddingUsage(Reply):
    """Tokens read."""

    prompt_tokens: int
    total_tokens: int


class EmbeddingReply(Reply):
    """The vectors, in the order of the texts; each has length one."""

    object: Literal["list"]
    data: list[EmbeddingItem]
    model: str
    usage: EmbeddingUsage


class Defaults(Reply):
    """What applies where a request does not say; null: off, or left to an upstream that does not tell."""

    max_tokens: int | None = Field(description="of a chat: the longest answer; null: as much as the context holds")
    temperature: float | None
    top_p: float | None
    top_k: int | None
    stop_loops: bool


class ServedModel(Reply):
    """A model that is served here."""

    id: str
    object: Literal["model"]
    created: int
    owned_by: str
    root: str
    max_model_len: int = Field(description="prompt and answer together, in tokens")
    defaults: Defaults | None = Field(None, description="of the model that answers")


class ServedModels(Reply):
    """All of them; none while they load."""

    object: Literal["list"]
    data: list[ServedModel]


class HealthReply(Reply):
    """The state, and for anything but ready the reason in one sentence."""

    state: Literal["starting", "ready", "degraded", "draining", "dead"]
    reason: str
