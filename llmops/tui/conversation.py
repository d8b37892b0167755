"""What was said: the turns of a conversation, and the messages that the model is shown of them."""

from __future__ import annotations

import dataclasses
from typing import Any

from llmops.client import ChatOptions, ChatTiming, RequestRefused, ServeUnreachable
from llmops.tui.language import Words
from llmops.tui.numbers import fixed, milliseconds
from llmops.tui.window import TOO_LONG, Context, Exchange, counts_of, first_that_fits
from llmops.untrusted import safe_line

__all__ = ["Conversation", "Exchange", "figures", "remarks", "sentence"]


class Conversation:
    """Grows by one exchange at a time; the model is shown those from `first` on, under the system prompt."""

    def __init__(self, options: ChatOptions = ChatOptions()) -> None:  # noqa: B008 - frozen
        self.exchanges: list[Exchange] = []
        self.options = options
        self.first = 0
        self.limit: int | None = None
        """The model's context as a refusal of the open question named it."""

    def ask(self, question: str) -> Exchange:
        """A new exchange, still without an answer."""
        exchange = Exchange(question=question)
        self.limit = None
        self.exchanges.append(exchange)
        return exchange

    def fit(self, context: Context) -> None:
        """Leave out the oldest exchanges until the open question and an answer fit what the server takes."""
        exchange, options = self.exchanges[-1], self.options
        if self.limit is not None:
            context = dataclasses.replace(context, limit=self.limit)
        room = context.room(options.max_tokens)
        if room is not None:
            self.first = first_that_fits(self.exchanges, self.first, options.system or "", room)
        exchange.sent_from, exchange.sent_system = self.first, options.system or ""

    def shorten(self, error: Exception) -> bool:
        """After a refusal: leave out more, or ask for a shorter answer. False where neither is left, or would help."""
        exchange = self.exchanges[-1]
        if not isinstance(error, RequestRefused) or error.code != TOO_LONG or exchange.answer:
            return False
        holds, limit = counts_of(error)
        self.limit = limit or self.limit
        if self.first < len(self.exchanges) - 1:
            # Halved, so that a few tries are enough whatever the estimate was.
            self.first += max(1, (len(self.exchanges) - 1 - self.first) // 2)
            return True
        if holds is None or self.limit is None or holds >= self.limit or exchange.max_tokens is not None:
            return False
        exchange.max_tokens = self.limit - holds
        return True

    def is_refused_alone(self, error: Exception) -> bool:
        """Whether the question is too long even without the turns before it."""
        return isinstance(error, RequestRefused) and error.code == TOO_LONG and not self.exchanges[-1].answer

    def messages(self) -> list[dict[str, str]]:
        """For the model: the system prompt, answered exchanges in order, then the open question."""
        messages = [{"role": "system", "content": self.options.system}] if self.options.system else []
        for exchange in self.exchanges[self.first : -1]:
            for role, text in zip(("user", "assistant"), exchange.texts, strict=False):
                messages.append({"role": role, "content": text})
        return [*messages, {"role": "user", "content": self.exchanges[-1].question}]

    def sampling(self) -> dict[str, Any]:
        """What is asked for beside the messages."""
        own = self.exchanges[-1].max_tokens
        return self.options.sampling() | ({} if own is None else {"max_tokens": own})


def figures(timing: ChatTiming, words: Words, *, stopped: bool, running: bool) -> str:
    """The line under an answer; counts are estimates (`~`) until serve has given its own."""
    estimate = "~" if running or stopped else ""
    finish = words("chat.stopped") if stopped else (timing.finish_reason or ("..." if running else "--"))
    return words(
        "chat.meta",
        ttft=milliseconds(timing.ttft_s).strip(),
        rate=estimate + fixed(1.0 / timing.tpot_s if timing.tpot_s else None, 6, 1).strip(),
        input=fixed(timing.input_tokens, 5).strip(),
        output=estimate + fixed(timing.tokens, 5).strip(),
        finish=safe_line(finish, 20),
        id=safe_line(timing.request_id or "--")[-8:],
    )


def remarks(
    conversation: Conversation, exchange: Exchange, context: Context, words: Words, *, left_out_before: int
) -> list[str]:
    """What the reader should know of an answer: what the model did not see, why it ended, what comes next."""
    limit, max_tokens = conversation.limit or context.limit, conversation.options.max_tokens
    context = dataclasses.replace(context, limit=limit)
    told = []
    if conversation.first > left_out_before:
        told.append(words("chat.left_out", count=conversation.first, limit=limit or "--"))
    if exchange.max_tokens is not None and exchange.error is None:
        told.append(words("chat.short_answer", tokens=exchange.max_tokens))
    if (why := _cut(exchange, context, words)) is not None:
        told.append(why)
    if conversation.first == 0 and context.is_near(exchange, max_tokens):
        reserve, used = context.reserve(max_tokens), exchange.counted_tokens
        told.append(words("chat.near_end", used=used, limit=limit, reserve=reserve))
    return told


def _cut(exchange: Exchange, context: Context, words: Words) -> str | None:
    """Why an answer ended before it was complete; None where it did not."""
    timing = exchange.timing
    if timing is None or timing.finish_reason != "length":
        return None
    used = exchange.counted_tokens
    if context.limit is not None and used is not None and used >= context.limit:
        return words("chat.cut.context", tokens=timing.tokens, limit=context.limit)
    return words("chat.cut", tokens=timing.tokens)


def sentence(error: Exception, words: Words) -> str:
    """Why there is no answer, for a person."""
    if isinstance(error, RequestRefused):
        holds, limit = counts_of(error)
        if error.code == TOO_LONG and holds is not None and limit is not None and holds >= limit:
            about = "" if "holds " + str(holds) in error.message else "~"
            return words("chat.too_long", over=f"{about}{holds - limit + 1}", tokens=f"{about}{holds}", limit=limit)
        again = error.retry_after_s
        retry = words("error.retry", seconds=f"{again:.0f}") if again is not None else ""
        return words("error.refused", reason=f"{error.message.rstrip('.')} ({error.status} {error.code}).") + retry
    if isinstance(error, ServeUnreachable):
        return words("error.unreachable", url=error.url, reason=error.reason)
    return words("error.broken", reason=str(error) or type(error).__name__)
