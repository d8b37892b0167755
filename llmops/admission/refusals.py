"""Why a request may not enter: each refusal has the slug that event, metric, log and HTTP body share."""

from __future__ import annotations

import math

MAX_RETRY_AFTER_S = 120
"""Clients of the OpenAI API ignore a longer Retry-After."""


class Refusal(Exception):
    """`str(refusal)` is one sentence for the user; `retry_after_s` is whole seconds, or None."""

    slug = "refused"

    def __init__(self, message: str, retry_after_s: float | None = None) -> None:
        super().__init__(message)
        self.retry_after_s = None if retry_after_s is None else max(1, min(MAX_RETRY_AFTER_S, math.ceil(retry_after_s)))


class RateLimited(Refusal):
    """This user's bucket is empty; others are not affected."""

    slug = "rate_limited"


class QueueFull(Refusal):
    """As many requests wait as may wait."""

    slug = "queue_full"


class Draining(Refusal):
    """The server is going down and takes nothing new."""

    slug = "draining"


class NotReady(Refusal):
    """The model is still loading, or its engine is restarting."""

    slug = "not_ready"


class InvalidApiKey(Refusal):
    """No key where one is needed, or one that opens nothing."""

    slug = "invalid_api_key"


class DeadlinePassed(Refusal):
    """The request grew older than it may, waiting included."""

    slug = "timeout"
