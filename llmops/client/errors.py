"""What can go wrong between a client and serve, each as one sentence for a person."""

from __future__ import annotations


class ServeUnreachable(Exception):
    """Nobody answered, or not as serve does; the sentence names the address and what to do."""

    slug = "serve_unreachable"

    def __init__(self, url: str, reason: str) -> None:
        self.url = url
        self.reason = reason
        super().__init__(f"No llmops serve at {url} ({reason}); start one with `llmops serve`.")


class RequestRefused(Exception):
    """Serve answered with an error: before the stream (`status` is HTTP's) or inside it.

    code: the slug of the refusal (`queue_full`), the same word as in the event and the metric.
    retry_after_s: when to come back, where serve said so.
    """

    def __init__(self, status: int, code: str, message: str, retry_after_s: float | None = None) -> None:
        self.status = status
        self.code = code
        self.message = message
        self.retry_after_s = retry_after_s
        super().__init__(f"{message} ({status} {code})")
