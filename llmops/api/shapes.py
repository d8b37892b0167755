"""How chats and completions differ on the wire: everything else about the two routes is the same."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any, TypeAlias

from llmops.api.schema import ChatRequest, CompletionRequest, TextRequest

CHAT = "/v1/chat/completions"
COMPLETIONS = "/v1/completions"
EMBEDDINGS = "/v1/embeddings"

Choice: TypeAlias = dict[str, Any]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """One route's words.

    operation: what its events call it.
    whole, chunk: the `object` of an answer, and of a piece of a stream.
    answer, piece: text and finish reason as a choice, of an answer and of a piece of a stream.
    opening: the choice that begins a stream, if one does.
    """

    path: str
    operation: str
    id_prefix: str
    request: type[TextRequest]
    whole: str
    chunk: str
    answer: Callable[[str, str | None], Choice]
    piece: Callable[[str, str | None], Choice]
    opening: Choice | None = None


def _message(text: str, finish_reason: str | None) -> Choice:
    message = {"role": "assistant", "content": text, "refusal": None}
    return {"index": 0, "message": message, "logprobs": None, "finish_reason": finish_reason}


def _delta(text: str, finish_reason: str | None) -> Choice:
    delta = {"content": text} if text else {}
    return {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish_reason}


def _text(text: str, finish_reason: str | None) -> Choice:
    return {"index": 0, "text": text, "logprobs": None, "finish_reason": finish_reason}


CHAT_SHAPE = Shape(
    path=CHAT,
    operation="chat",
    id_prefix="chatcmpl-",
    request=ChatRequest,
    whole="chat.completion",
    chunk="chat.completion.chunk",
    answer=_message,
    piece=_delta,
    opening={"index": 0, "delta": {"role": "assistant", "content": ""}, "logprobs": None, "finish_reason": None},
)
COMPLETION_SHAPE = Shape(
    path=COMPLETIONS,
    operation="text_completion",
    id_prefix="cmpl-",
    request=CompletionRequest,
    whole="text_completion",
    chunk="text_completion",
    answer=_text,
    piece=_text,
)
