"""Which turns of a conversation still fit the model's context: true counts where they are known, else estimates."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Sequence

from llmops.client import ChatTiming, RequestRefused

TOO_LONG = "context_length_exceeded"
_HOLDS = re.compile(r"\b(?:holds|about) (\d{1,12}) tokens")
_CONTEXT = re.compile(r"\bcontext is (\d{1,12})")
_BYTES_A_TOKEN = 3.0
"""Before anything was counted: most text has 4 bytes of UTF-8 a token, code and rare languages fewer."""
_TOKENS_A_MESSAGE = 8
_ANSWER_SHARE = 1 / 2
"""Of the context, the most that is kept free for an answer whose length nobody chose."""
_NEAR = 0.8
_LEFT = 3 / 4


@dataclasses.dataclass(kw_only=True)
class Exchange:
    """A question and what became of it. sent_from, sent_system: the first exchange and the system prompt that its
    request showed to the model; max_tokens: its own limit, where the chosen one had no room."""

    question: str
    answer: str = ""
    stopped: bool = False
    error: str | None = None
    timing: ChatTiming | None = None
    sent_from: int = 0
    sent_system: str = ""
    max_tokens: int | None = None

    @property
    def request_id(self) -> str | None:
        """Under which the record knows it."""
        return self.timing.request_id if self.timing else None

    @property
    def counted_tokens(self) -> int | None:
        """Of the whole request and its answer, as the server counted them."""
        timing = self.timing
        return timing.input_tokens + timing.tokens if self.answer and timing and timing.input_tokens else None

    @property
    def texts(self) -> tuple[str, ...]:
        """What later requests show of it: nothing without an answer, which would only confuse the model."""
        return (self.question, self.answer) if self.answer else ()


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """What the server says of its model. limit: tokens of prompt and answer together; None: not known."""

    limit: int | None = None
    default_max_tokens: int | None = None

    def reserve(self, max_tokens: int | None) -> int:
        """Tokens to keep free for the answer."""
        if self.limit is None:
            return 0
        if max_tokens is not None:
            return min(max_tokens, self.limit - 1)
        return min(self.default_max_tokens or self.limit, int(self.limit * _ANSWER_SHARE))

    def room(self, max_tokens: int | None) -> int | None:
        """Tokens that the prompt may have."""
        return None if self.limit is None else self.limit - self.reserve(max_tokens)

    def is_near(self, exchange: Exchange, max_tokens: int | None) -> bool:
        """Whether a question or two more will push the oldest exchanges out."""
        room, used = self.room(max_tokens), exchange.counted_tokens
        return room is not None and used is not None and used > _NEAR * room


def likely_tokens(exchanges: Sequence[Exchange], first: int, system: str) -> int:
    """Of a request that shows the exchanges from `first` on and asks the last one's question."""
    counted = next((at for at in reversed(range(len(exchanges) - 1)) if exchanges[at].counted_tokens), None)
    asked = exchanges[-1].question
    if counted is None:
        return cost(_BYTES_A_TOKEN, system, asked, *_texts(exchanges[first:-1]))
    last = exchanges[counted]
    ratio = _bytes_a_token(exchanges, counted)
    new = cost(ratio, asked, *_texts(exchanges[max(counted + 1, first) : -1]))
    old = cost(ratio, *_texts(exchanges[last.sent_from : first]))
    return (last.counted_tokens or 0) + new - old + cost(ratio, system) - cost(ratio, last.sent_system)


def first_that_fits(exchanges: Sequence[Exchange], first: int, system: str, room: int) -> int:
    """The first exchange to show, so that the prompt takes `room` tokens at most; all may have to go.

    Once some have to, more go: so it happens now and then, not at each question, and prompts keep their beginning.
    """
    if likely_tokens(exchanges, first, system) > room:
        room = int(_LEFT * room)
    while first < len(exchanges) - 1 and likely_tokens(exchanges, first, system) > room:
        first += 1
    return first


def cost(bytes_a_token: float, *texts: str) -> int:
    """Tokens of messages with these texts."""
    return sum(_TOKENS_A_MESSAGE + int(len(text.encode("utf-8", "replace")) / bytes_a_token) for text in texts if text)


def counts_of(refused: RequestRefused) -> tuple[int | None, int | None]:
    """(tokens of the prompt, the model's context) as a refusal names them."""
    holds, limit = _HOLDS.search(refused.message), _CONTEXT.search(refused.message)
    return (int(holds[1]) if holds else None, int(limit[1]) if limit else None)


def _texts(exchanges: Sequence[Exchange]) -> list[str]:
    return [text for exchange in exchanges for text in exchange.texts]


def _bytes_a_token(exchanges: Sequence[Exchange], counted: int) -> float:
    last = exchanges[counted]
    texts = [last.sent_system, *_texts(exchanges[last.sent_from : counted + 1])]
    size = sum(len(text.encode("utf-8", "replace")) for text in texts)
    return min(2 * _BYTES_A_TOKEN, max(1.0, size / (last.counted_tokens or 1)))
