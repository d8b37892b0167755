"""What was said: the turns of a conversation, and the messages that the model is shown of them."""

from __future__ import annotations

import dataclasses

from llmops.client import ChatTiming, RequestRefused, ServeUnreachable
from llmops.tui.language import Words
from llmops.tui.numbers import fixed, milliseconds
from llmops.untrusted import safe_line


@dataclasses.dataclass(kw_only=True)
class Exchange:
    """A question and what became of it."""

    question: str
    answer: str = ""
    stopped: bool = False
    error: str | None = None
    timing: ChatTiming | None = None

    @property
    def request_id(self) -> str | None:
        """Under which the record knows it."""
        return self.timing.request_id if self.timing else None


class Conversation:
    """Grows by one exchange at a time."""

    def __init__(self) -> None:
        self.exchanges: list[Exchange] = []

    def ask(self, question: str) -> Exchange:
        """A new exchange, still without an answer."""
        exchange = Exchange(question=question)
        self.exchanges.append(exchange)
        return exchange

    def messages(self) -> list[dict[str, str]]:
        """For the model: answered exchanges in order, then the open question. A failed one would only confuse it."""
        messages: list[dict[str, str]] = []
        for exchange in self.exchanges[:-1]:
            if exchange.answer:
                messages.append({"role": "user", "content": exchange.question})
                messages.append({"role": "assistant", "content": exchange.answer})
        return [*messages, {"role": "user", "content": self.exchanges[-1].question}]


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


def sentence(error: Exception, words: Words) -> str:
    """Why there is no answer, for a person."""
    if isinstance(error, RequestRefused):
        again = error.retry_after_s
        retry = words("error.retry", seconds=f"{again:.0f}") if again is not None else ""
        return words("error.refused", reason=f"{error.message.rstrip('.')} ({error.status} {error.code}).") + retry
    if isinstance(error, ServeUnreachable):
        return words("error.unreachable", url=error.url, reason=error.reason)
    return words("error.broken", reason=str(error) or type(error).__name__)
